//! Statements and portals of the extended protocol, and the way of rows from a stream into the outbox.

use std::sync::Arc;

use alluvia_core::{CommandTag, Execution, Prepared};
use datafusion_common::ScalarValue;
use futures::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::encode::{BoundRows, EncodeOptions, Format, RowEncoder};
use super::outbox::{FLUSH_BYTES, Outbox};
use super::report::{Failure, Report};

/// What Parse made; empty text has nothing to run.
pub struct PreparedStatement {
    pub prepared: Option<Prepared>,
    /// Type of each parameter as the client was or will be told.
    pub parameter_oids: Vec<u32>,
}

/// What Bind made.
pub struct Portal {
    pub statement: Arc<PreparedStatement>,
    pub parameters: Vec<ScalarValue>,
    pub formats: Vec<Format>,
    pub state: PortalState,
}

pub enum PortalState {
    Bound,
    /// Boxed, since a portal that never starts shouldn't take its room.
    Suspended(Box<Running>),
    Done(CommandTag),
}

/// A statement that produces rows, and how far it has come.
pub struct Running {
    execution: Execution,
    encoder: RowEncoder,
    batch: Option<BoundRows>,
    /// First row of the batch that wasn't sent.
    row: usize,
    /// The stream knows its deadline itself, but isn't asked while the client is waited for.
    deadline: Option<Instant>,
}

/// Where a run stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The stream has ended.
    End,
    /// As many rows as were asked for are sent; there may be more.
    RowLimit,
}

impl Running {
    /// `formats`: one for each column. `deadline`: when the statement has to be done with.
    pub fn new(
        execution: Execution,
        formats: &[Format],
        options: &EncodeOptions,
        deadline: Option<Instant>,
    ) -> Result<Self, Report> {
        let encoder = RowEncoder::new(&execution.schema, formats, options)?;
        Ok(Self { execution, encoder, batch: None, row: 0, deadline })
    }

    pub fn tag(&self) -> CommandTag {
        self.execution.tag.clone()
    }

    /// Sends rows until the stream ends or `rows_max` are sent (0: no limit), and says how many those were. Never more
    /// than about [`FLUSH_BYTES`] wait in the outbox: a slow client slows the statement down.
    pub async fn run(
        &mut self,
        outbox: &mut Outbox,
        cancelled: &CancellationToken,
        rows_max: u64,
    ) -> Result<(u64, Stop), Failure> {
        let mut rows = 0_u64;
        loop {
            while self.batch.as_ref().is_some_and(|batch| self.row < batch.rows()) {
                let left = if rows_max == 0 { u64::MAX } else { rows_max - rows };
                if left == 0 {
                    return Ok((rows, Stop::RowLimit));
                }
                rows += self.encode_some(outbox, usize::try_from(left).unwrap_or(usize::MAX))?;
                if outbox.pending_bytes() >= FLUSH_BYTES {
                    flush(outbox, cancelled, self.deadline).await?;
                }
            }
            if rows_max != 0 && rows == rows_max {
                return Ok((rows, Stop::RowLimit));
            }
            match self.execution.stream.next().await {
                Some(batch) => {
                    let batch = batch.map_err(alluvia_core::Error::from)?;
                    self.batch = Some(self.encoder.bind(&batch)?);
                    self.row = 0;
                }
                None => return Ok((rows, Stop::End)),
            }
        }
    }

    /// Encodes up to `rows_max` rows of the batch, but not many more bytes than are sent at once.
    fn encode_some(&mut self, outbox: &mut Outbox, rows_max: usize) -> Result<u64, Report> {
        let Some(batch) = &self.batch else { return Ok(0) };
        let end = self.row.saturating_add(rows_max).min(batch.rows());
        let sent = outbox.append(|buffer| batch.encode(self.row..end, FLUSH_BYTES, buffer))?;
        let rows = sent - self.row;
        self.row = sent;
        Ok(rows as u64)
    }
}

/// Runs a statement that returns no rows to its end.
pub async fn exhaust(mut execution: Execution) -> Result<CommandTag, Report> {
    while let Some(batch) = execution.stream.next().await {
        batch.map_err(alluvia_core::Error::from)?;
    }
    Ok(execution.tag)
}

/// A client that doesn't read must not keep a statement alive that is cancelled or late.
pub(super) async fn flush(
    outbox: &mut Outbox,
    cancelled: &CancellationToken,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    let late = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        flushed = outbox.flush() => flushed.map_err(Failure::Disconnected),
        () = cancelled.cancelled() => Err(Failure::Report(Report::canceled("user request"))),
        () = late => Err(Failure::Report(Report::canceled("statement timeout"))),
    }
}
