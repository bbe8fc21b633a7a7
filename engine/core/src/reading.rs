//! Statements under way, so that files which a statement may still read outlive their table.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::catalog::TableEntry;
use crate::engine::Engine;

/// How often a removal looks whether it may begin.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Held by a statement as long as it may open or read files.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    _epoch: Arc<()>,
}

/// Statements by when they began: each removal starts a new epoch, and waits for the earlier ones to end.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    epochs: Mutex<Epochs>,
}

#[derive(Debug, Default)]
struct Epochs {
    current: Arc<()>,
    earlier: Vec<Weak<()>>,
}

impl Readers {
    pub fn begin(&self) -> Reading {
        Reading { _epoch: Arc::clone(&self.epochs.lock().current) }
    }

    /// Ready when every statement that has begun by now is over.
    async fn quiet(&self) {
        let waited = {
            let mut epochs = self.epochs.lock();
            let ended = std::mem::take(&mut epochs.current);
            epochs.earlier.retain(|epoch| epoch.strong_count() > 0);
            epochs.earlier.push(Arc::downgrade(&ended));
            epochs.earlier.clone()
        };
        while waited.iter().any(|epoch| epoch.strong_count() > 0) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Removes the files of a table that has just lost its name, once no statement reads them any more. Should the process
/// end before, the next start removes them.
pub(crate) fn discard_after_readers(engine: &Arc<Engine>, table: TableEntry) {
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        engine.readers.quiet().await;
        if let Err(error) = engine.catalog.discard(&engine.lake, &table).await {
            tracing::warn!(%error, location = %table.location, "a dropped table's files stay until the next start");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_removal_waits_for_statements_that_began_before_it() {
        let readers = Arc::new(Readers::default());
        let before = readers.begin();
        let removal = tokio::spawn({
            let readers = Arc::clone(&readers);
            async move { readers.quiet().await }
        });
        tokio::time::sleep(LOOK_EVERY * 3).await;
        assert!(!removal.is_finished());
        let after = readers.begin();
        drop(before);
        removal.await.unwrap();
        drop(after);
    }
}
