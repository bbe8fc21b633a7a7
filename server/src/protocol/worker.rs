//! What a connection does with its messages: one at a time, in order, apart from the task that watches the socket.

use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use alluvia_core::session::TransactionStatus;
use alluvia_core::{CommandTag, Execution, Session};
use futures::FutureExt;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{ReadyForQuery, TransactionStatus as ReadyStatus};
use pgwire::messages::startup::ParameterStatus;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cancel::CancelTarget;
use super::encode::EncodeOptions;
use super::frontend::{FrontendMessage, skips_until_sync};
use super::outbox::Outbox;
use super::portal::{Portal, PreparedStatement};
use super::queue::{Arrival, FrameReceiver};
use super::report::{Failure, Report, notice, without_nul};
use super::settings::encode_options;
use crate::shutdown::Shutdown;
use crate::sqlstate::SqlState;

/// Longest wait for a client to take the last words of its connection.
const FAREWELL: Duration = Duration::from_secs(1);

pub struct Worker {
    pub(super) session: Arc<Session>,
    pub(super) outbox: Outbox,
    /// What the client sends: a COPY takes its data off it.
    pub(super) frames: FrameReceiver,
    pub(super) statements: HashMap<String, Arc<PreparedStatement>>,
    pub(super) portals: HashMap<String, Portal>,
    /// Of the message that is dealt with now.
    pub(super) cancelled: CancellationToken,
    cancel_target: Arc<CancelTarget>,
    /// An extended message failed: everything up to Sync is skipped.
    skipping: bool,
    /// Extended messages have come since the last ReadyForQuery.
    in_pipeline: bool,
}

/// Whether the connection goes on.
enum Then {
    Continue,
    Close,
}

impl Worker {
    pub fn new(session: Arc<Session>, outbox: Outbox, frames: FrameReceiver, cancel_target: Arc<CancelTarget>) -> Self {
        Self {
            session,
            outbox,
            frames,
            statements: HashMap::new(),
            portals: HashMap::new(),
            cancelled: CancellationToken::new(),
            cancel_target,
            skipping: false,
            in_pipeline: false,
        }
    }

    /// Deals with messages until the connection is to end. Dropping the future ends what runs.
    pub async fn run(mut self, shutdown: Shutdown) {
        loop {
            let arrival = tokio::select! {
                biased;
                () = shutdown.forced() => return self.farewell(Report::admin_shutdown()).await,
                () = shutdown.draining(), if !self.in_pipeline => return self.farewell(Report::admin_shutdown()).await,
                arrival = self.frames.receive() => arrival,
            };
            let frame = match arrival {
                Some(Arrival::Frame(frame)) => frame,
                Some(Arrival::Broken(report)) => return self.farewell(report).await,
                None => return,
            };
            let kind = frame.kind;
            self.cancelled = self.cancel_target.begin();
            let outcome = tokio::select! {
                outcome = AssertUnwindSafe(self.handle(frame)).catch_unwind() => outcome,
                () = shutdown.forced() => {
                    self.session.cancel();
                    return self.farewell(Report::admin_shutdown()).await;
                }
            };
            let outcome = outcome.unwrap_or_else(|panic| Err(Failure::Report(panicked(&*panic))));
            match self.settle(kind, outcome).await {
                Ok(Then::Continue) => {}
                Ok(Then::Close) => {
                    let _ = tokio::time::timeout(FAREWELL, self.outbox.close()).await;
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "connection lost");
                    return;
                }
            }
        }
    }

    async fn handle(&mut self, frame: super::frame::Frame) -> Result<Then, Failure> {
        if self.skipping && !matches!(frame.kind, b'S' | b'X') {
            return Ok(Then::Continue);
        }
        self.in_pipeline |= skips_until_sync(frame.kind);
        match FrontendMessage::decode(frame)? {
            FrontendMessage::Query(sql) => {
                self.query(&sql).await?;
                self.ready().await?;
            }
            FrontendMessage::Parse(parse) => self.parse(parse).await?,
            FrontendMessage::Bind(bind) => self.bind(bind)?,
            FrontendMessage::Describe(target) => self.describe(&target)?,
            FrontendMessage::Close(target) => self.close(&target)?,
            FrontendMessage::Execute { portal, rows_max } => self.execute(&portal, rows_max).await?,
            FrontendMessage::Flush => self.flush().await?,
            FrontendMessage::Sync => {
                self.skipping = false;
                self.ready().await?;
            }
            FrontendMessage::FunctionCall => {
                let report =
                    Report::new(SqlState::FEATURE_NOT_SUPPORTED, "the function call protocol is not supported");
                return Err(report.with_hint("Call the function in a SELECT.").into());
            }
            FrontendMessage::CopyStray => {}
            FrontendMessage::Password => {
                let message = "unexpected password message";
                return Err(Report::fatal(SqlState::PROTOCOL_VIOLATION, message).into());
            }
            FrontendMessage::Terminate => return Ok(Then::Close),
        }
        Ok(Then::Continue)
    }

    /// Tells the client of a failure, and brings the protocol back to where both sides know where they are.
    async fn settle(&mut self, kind: u8, outcome: Result<Then, Failure>) -> io::Result<Then> {
        let report = match outcome {
            Ok(then) => return Ok(then),
            Err(Failure::Disconnected(error)) => return Err(error),
            Err(Failure::Report(report)) => report,
        };
        self.outbox.take_back_incomplete();
        self.session.fail();
        if report.state == SqlState::INTERNAL_ERROR {
            tracing::error!(user = self.session.user(), message = report.message, "internal error");
        }
        let fatal = report.is_fatal();
        self.outbox.send(report.into_message()).map_err(unencodable)?;
        if fatal {
            return Ok(Then::Close);
        }
        if self.session.transaction_status() == TransactionStatus::Failed {
            self.portals.clear();
        }
        self.skipping = skips_until_sync(kind);
        // At once, as PostgreSQL does: a client that sent Flush waits for the error before it sends Sync.
        let told = if self.skipping { self.flush().await } else { self.ready().await };
        match told {
            Ok(()) => Ok(Then::Continue),
            Err(Failure::Disconnected(error)) => Err(error),
            Err(Failure::Report(report)) => Err(unencodable(report)),
        }
    }

    /// ReadyForQuery, with all that is due before it.
    pub(super) async fn ready(&mut self) -> Result<(), Failure> {
        let status = match self.session.transaction_status() {
            TransactionStatus::Idle => {
                // Portals live as long as their transaction; outside a block that is up to here.
                self.portals.clear();
                ReadyStatus::Idle
            }
            TransactionStatus::InTransaction => ReadyStatus::Transaction,
            TransactionStatus::Failed => ReadyStatus::Error,
        };
        for (name, value) in self.session.changed_settings() {
            let status = ParameterStatus::new(name, without_nul(value));
            self.outbox.send(PgWireBackendMessage::ParameterStatus(status))?;
        }
        self.outbox.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(status)))?;
        self.flush().await?;
        self.outbox.shrink();
        self.in_pipeline = false;
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        self.outbox.flush().await.map_err(Failure::Disconnected)
    }

    pub(super) fn send_notices(&mut self, execution: &Execution) -> Result<(), Report> {
        for said in &execution.notices {
            self.outbox.send(notice(said.severity, said.message.clone()))?;
        }
        Ok(())
    }

    /// What a statement that has ended means for statements and portals.
    pub(super) fn finish(&mut self, tag: &CommandTag, status_before: TransactionStatus) {
        let status = self.session.transaction_status();
        if status_before != TransactionStatus::Idle && status != status_before {
            self.portals.clear();
        }
        match tag {
            CommandTag::Done(tag) if tag == "DISCARD ALL" => {
                self.statements.clear();
                self.portals.clear();
            }
            CommandTag::Deallocate(None) => self.statements.clear(),
            CommandTag::Deallocate(Some(name)) => {
                self.statements.remove(name.as_str());
            }
            _ => {}
        }
    }

    pub(super) fn encode_options(&self) -> Result<EncodeOptions, Report> {
        Ok(encode_options(|name| self.session.setting(name))?)
    }

    /// When a statement that starts now has to be done with.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timeout_ms: u64 = self.session.setting("statement_timeout")?.parse().ok()?;
        (timeout_ms > 0).then(|| Instant::now() + Duration::from_millis(timeout_ms))
    }

    /// Last words, if the client takes them soon.
    async fn farewell(mut self, report: Report) {
        self.outbox.take_back_incomplete();
        let words = async {
            self.outbox.send(report.into_message()).map_err(unencodable)?;
            self.outbox.close().await
        };
        if let Ok(Err(error)) = tokio::time::timeout(FAREWELL, words).await {
            tracing::debug!(%error, "connection lost");
        }
    }
}

/// A panic is a bug of ours; it ends its statement, not the server.
fn panicked(panic: &(dyn Any + Send)) -> Report {
    let message = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    let report = Report::new(SqlState::INTERNAL_ERROR, "internal error: the statement panicked");
    match message {
        Some(message) => report.with_detail(message),
        None => report,
    }
}

fn unencodable(report: Report) -> io::Error {
    io::Error::other(report.message)
}
