//! How the server ends: first it drains, then what still runs is forced to end.

use tokio_util::sync::CancellationToken;

/// Both steps, as every connection sees them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    force: CancellationToken,
}

impl Shutdown {
    /// Idle connections end now, others with their statement.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Everything ends now.
    pub fn force(&self) {
        self.drain.cancel();
        self.force.cancel();
    }

    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    pub async fn forced(&self) {
        self.force.cancelled().await;
    }
}
