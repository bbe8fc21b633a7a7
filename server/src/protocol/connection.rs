//! One connection: start-up, then two tasks. One watches the socket and takes messages off it, the other deals with
//! them; so a client that hangs up is noticed while its statement runs, and the statement ends with it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use alluvia_core::Session;
use bytes::{Buf, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};

use super::cancel::{CancelTarget, secret};
use super::frame;
use super::outbox::Outbox;
use super::queue::{self, Arrival, FrameSender};
use super::report::{Report, without_nul};
use super::startup::{self, Opening, StartUp};
use super::worker::Worker;
use crate::listener::Shared;
use crate::sqlstate::SqlState;

/// How long a client gets to read last words before the socket is closed under what it may still send.
const LINGER: Duration = Duration::from_millis(500);

/// How often a connection whose queue is full looks whether its client is still there.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// Bytes asked of the socket at once.
const READ_BYTES: usize = 8 << 10;

/// Serves a client to the end of its connection. Errors of the socket concern nobody but the log.
pub async fn serve(socket: TcpStream, shared: Arc<Shared>) {
    if let Err(error) = serve_socket(socket, shared).await {
        tracing::debug!(%error, "connection ended");
    }
}

async fn serve_socket(mut socket: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let opening = tokio::select! {
        opening = tokio::time::timeout(shared.options.startup_timeout, startup::read(&mut socket, &mut buffer)) => {
            opening.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??
        }
        () = shared.shutdown.draining() => return Ok(()),
    };
    let start_up = match opening {
        Opening::Session(start_up) => start_up,
        Opening::Cancel { process_id, secret } => {
            shared.cancels.cancel(process_id, &secret);
            return Ok(());
        }
        Opening::Refused(report) => return refuse(socket, report).await,
        Opening::Foreign => {
            tracing::debug!("bytes that aren't PostgreSQL's protocol");
            return Ok(());
        }
    };
    match open_session(&shared, &start_up).await {
        Ok((slot, session)) => {
            let served = converse(socket, buffer, &shared, &start_up, Arc::clone(&session)).await;
            session.close().await;
            drop(slot);
            served
        }
        Err(report) => refuse(socket, report).await,
    }
}

async fn open_session(shared: &Shared, start_up: &StartUp) -> Result<(OwnedSemaphorePermit, Arc<Session>), Report> {
    let slot = Arc::clone(&shared.slots).try_acquire_owned().map_err(|error| match error {
        TryAcquireError::NoPermits => Report::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already"),
        TryAcquireError::Closed => Report::admin_shutdown(),
    })?;
    let engine = Arc::clone(&shared.engine);
    let (user, database) = (start_up.user.clone(), start_up.database.clone());
    // A session's functions and rules take a moment to put together: not on the thread that serves the sockets.
    let session = shared.statements.spawn(async move { engine.session(&user, &database) }).await;
    let session =
        session.map_err(|error| Report::new(SqlState::INTERNAL_ERROR, format!("internal error: {error}")))??;
    for (name, value) in &start_up.settings {
        session.set(name, value)?;
    }
    Ok((slot, Arc::new(session)))
}

/// The connection from the greeting on.
async fn converse(
    socket: TcpStream,
    buffer: BytesMut,
    shared: &Arc<Shared>,
    start_up: &StartUp,
    session: Arc<Session>,
) -> io::Result<()> {
    let (mut read, write) = socket.into_split();
    let mut outbox = Outbox::new(write);
    let target = CancelTarget::new(Arc::clone(&session));
    let secret = secret(if start_up.minor >= 2 { 32 } else { 4 });
    let key = BackendKeyData::new(session.process_id(), SecretKey::Bytes(secret.clone()));
    let _registration = shared.cancels.register(session.process_id(), secret, Arc::clone(&target));
    greet(&mut outbox, start_up, &session, key).map_err(|report| io::Error::other(report.message))?;
    outbox.flush().await?;
    tracing::debug!(process_id = session.process_id(), user = session.user(), "connection ready");

    let (frames, received) = queue::channel();
    let worker = Worker::new(Arc::clone(&session), outbox, received, target);
    let mut worker = AbortOnDrop(shared.statements.spawn(worker.run(shared.shutdown.clone())));
    let worker_ended = tokio::select! {
        _ = &mut worker.0 => true,
        ended = receive(&mut read, buffer, &frames) => {
            tracing::debug!(process_id = session.process_id(), ?ended, "client is gone");
            false
        }
    };
    if worker_ended {
        // Closing over unread bytes would reset the connection, and last words on their way would be lost.
        let _ = tokio::time::timeout(LINGER, discard(&mut read)).await;
    } else {
        session.cancel();
        worker.0.abort();
        let _ = (&mut worker.0).await;
    }
    Ok(())
}

/// A statement must not outlive its connection, however that ends.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn greet(outbox: &mut Outbox, start_up: &StartUp, session: &Session, key: BackendKeyData) -> Result<(), Report> {
    if let Some(negotiation) = &start_up.negotiation {
        let spoken = (3 << 16) | i32::from(start_up.minor);
        let message = NegotiateProtocolVersion::new(spoken, negotiation.unsupported_options.clone());
        outbox.send(PgWireBackendMessage::NegotiateProtocolVersion(message))?;
    }
    outbox.send(PgWireBackendMessage::Authentication(Authentication::Ok))?;
    for (name, value) in session.reported_settings() {
        outbox.send(PgWireBackendMessage::ParameterStatus(ParameterStatus::new(name, without_nul(value))))?;
    }
    // What the start-up packet set is told above.
    let _ = session.changed_settings();
    outbox.send(PgWireBackendMessage::BackendKeyData(key))?;
    outbox.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(TransactionStatus::Idle)))
}

/// Takes messages off the socket until the client is gone.
async fn receive(read: &mut OwnedReadHalf, mut buffer: BytesMut, frames: &FrameSender) -> io::Result<()> {
    loop {
        let understood = loop {
            match frame::take(&mut buffer) {
                Ok(Some(frame)) => {
                    let last = frame.kind == b'X';
                    if !frames.send(Arrival::Frame(frame)) || last {
                        break false;
                    }
                }
                Ok(None) => break true,
                Err(report) => {
                    tracing::debug!(message = report.message, "broken message");
                    frames.send(Arrival::Broken(report));
                    break false;
                }
            }
        };
        if !understood {
            return discard(read).await;
        }
        while frames.is_full() {
            // Unread bytes hide the end of the stream from `read`, but not from the socket once it has arrived. It can't
            // arrive while bytes before it wait in the client's kernel: such a statement ends by its own limits.
            if read.ready(Interest::READABLE).await?.is_read_closed() {
                return Ok(());
            }
            let _ = tokio::time::timeout(WATCH_INTERVAL, frames.drained()).await;
        }
        buffer.reserve(READ_BYTES);
        if read.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Reads to the end of the stream, and keeps nothing.
async fn discard(read: &mut OwnedReadHalf) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    while read.read_buf(&mut buffer).await? != 0 {
        buffer.clear();
    }
    Ok(())
}

/// Says why there is no session, and closes. Every error at this stage is fatal.
async fn refuse(mut socket: TcpStream, mut report: Report) -> io::Result<()> {
    report.severity = super::report::Severity::Fatal;
    let mut bytes = BytesMut::new();
    report.into_message().encode(&mut bytes).map_err(io::Error::other)?;
    let words = async {
        while bytes.has_remaining() {
            socket.write_buf(&mut bytes).await?;
        }
        socket.shutdown().await?;
        let mut rest = [0; 1024];
        while socket.read(&mut rest).await? != 0 {}
        Ok(())
    };
    tokio::time::timeout(LINGER, words).await.unwrap_or(Ok(()))
}
