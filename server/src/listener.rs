//! The listening socket: who may connect from where, how many at once, and how the server drains.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alluvia_core::Engine;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::protocol::cancel::CancelRegistry;
use crate::protocol::connection;
use crate::shutdown::Shutdown;

/// Port a server listens on unless told otherwise: beside PostgreSQL's own, so that both can run on one machine.
pub const PORT: u16 = 5433;

/// Sockets that may be open beyond the sessions' own: those starting up, and cancel requests.
const SOCKETS_BESIDE_SESSIONS: usize = 250;

/// Pause after a failed accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a server listens.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Sessions at once; one more is refused with 53300.
    pub connections_max: usize,
    /// Time from connecting to the end of start-up.
    pub startup_timeout: Duration,
    /// Time that running statements get when the server drains.
    pub shutdown_grace: Duration,
    /// Where statements run; `None` means on the runtime that the server itself runs on.
    pub statements: Option<Handle>,
}

impl From<SocketAddr> for ServerOptions {
    fn from(listen: SocketAddr) -> Self {
        Self {
            listen,
            connections_max: 250,
            startup_timeout: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(10),
            statements: None,
        }
    }
}

/// Why a server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("refusing to listen on {0}: it is not a loopback address")]
    NotLoopback(SocketAddr),
    #[error("could not listen on {address}: {error}")]
    Bind { address: SocketAddr, error: io::Error },
}

impl ListenError {
    pub fn detail(&self) -> Option<&'static str> {
        match self {
            Self::NotLoopback(_) => Some(
                "Only loopback connections may go without a password. Any other address needs TLS and SCRAM \
                 authentication, and neither is configured: this version can't be configured for them yet.",
            ),
            Self::Bind { .. } => None,
        }
    }

    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotLoopback(_) => {
                Some("Listen on 127.0.0.1 or [::1], and reach the server from elsewhere through an SSH tunnel.")
            }
            Self::Bind { .. } => Some("Port 0 picks a free port."),
        }
    }
}

/// What all connections share.
pub(crate) struct Shared {
    pub engine: Arc<Engine>,
    pub options: ServerOptions,
    pub statements: Handle,
    pub cancels: Arc<CancelRegistry>,
    /// One for each session there may be.
    pub slots: Arc<Semaphore>,
    pub shutdown: Shutdown,
}

/// A server that listens, and serves once it runs.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens; connections wait until `run`. Fails closed: without TLS and SCRAM only on loopback.
    pub async fn bind(engine: Arc<Engine>, options: impl Into<ServerOptions>) -> Result<Self, ListenError> {
        let options = options.into();
        let address = options.listen;
        if !address.ip().is_loopback() {
            return Err(ListenError::NotLoopback(address));
        }
        let failed = |error| ListenError::Bind { address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Shared {
            engine,
            statements: options.statements.clone().unwrap_or_else(Handle::current),
            cancels: Arc::default(),
            slots: Arc::new(Semaphore::new(options.connections_max)),
            shutdown: Shutdown::default(),
            options,
        };
        Ok(Self { listener, address, shared: Arc::new(shared) })
    }

    /// The address with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then drains: idle connections end at once, running statements get their grace.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { listener, shared, .. } = self;
        let connections = TaskTracker::new();
        let sockets = Arc::new(Semaphore::new(shared.options.connections_max.saturating_add(SOCKETS_BESIDE_SESSIONS)));
        loop {
            // With all sockets taken the kernel's backlog holds the rest.
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = accept(&listener, &sockets) => accepted,
            };
            match accepted {
                Ok((socket, permit)) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        connection::serve(socket, shared).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        connections.close();
        drain(&connections, &shared).await;
    }
}

async fn accept(
    listener: &TcpListener,
    sockets: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(sockets).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, _) = listener.accept().await?;
    Ok((socket, permit))
}

async fn drain(connections: &TaskTracker, shared: &Shared) {
    tracing::info!(connections = connections.len(), "shutting down");
    shared.shutdown.drain();
    if tokio::time::timeout(shared.options.shutdown_grace, connections.wait()).await.is_err() {
        tracing::info!(connections = connections.len(), "ending what still runs");
        shared.shutdown.force();
        // Each connection's last words have a limit of their own; this one holds for what can't be interrupted.
        let _ = tokio::time::timeout(Duration::from_secs(3), connections.wait()).await;
    }
}
