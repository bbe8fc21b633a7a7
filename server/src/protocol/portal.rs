//! Statements and portals of the extended protocol, and the way of rows from a stream into the outbox.

use std::sync::Arc;

use alluvia_core::{CommandTag, Execution, Prepared};
use arrow::array::RecordBatch;
use datafusion_common::ScalarValue;
use futures::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::encode::{EncodeOptions, Format, RowEncoder};
use super::outbox::{FLUSH_BYTES, Outbox};
use super::report::{Failure, Report};

/// Rows that are encoded at once at most, between two looks at the outbox.
const CHUNK_ROWS_MAX: usize = 8192;

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
    batch: RecordBatch,
    /// First row of the batch that wasn't sent.
    row: usize,
    /// Bytes that a row took lately; decides how many are encoded at once.
    row_bytes: usize,
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
        let batch = RecordBatch::new_empty(Arc::clone(&execution.schema));
        Ok(Self { execution, encoder, batch, row: 0, row_bytes: 0, deadline })
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
            while self.row < self.batch.num_rows() {
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
                Some(batch) => self.begin(batch.map_err(alluvia_core::Error::from)?),
                None => return Ok((rows, Stop::End)),
            }
        }
    }

    fn begin(&mut self, batch: RecordBatch) {
        if self.row_bytes == 0 {
            self.row_bytes = batch.get_array_memory_size() / batch.num_rows().max(1);
        }
        self.batch = batch;
        self.row = 0;
    }

    fn encode_some(&mut self, outbox: &mut Outbox, rows_max: usize) -> Result<u64, Report> {
        let wanted = (FLUSH_BYTES / self.row_bytes.max(1)).clamp(1, CHUNK_ROWS_MAX).min(rows_max);
        let end = self.row.saturating_add(wanted).min(self.batch.num_rows());
        let rows = end - self.row;
        let bytes_before = outbox.pending_bytes();
        outbox.append(|buffer| self.encoder.encode(&self.batch, self.row..end, buffer))?;
        self.row_bytes = ((outbox.pending_bytes() - bytes_before) / rows.max(1)).max(1);
        self.row = end;
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
async fn flush(outbox: &mut Outbox, cancelled: &CancellationToken, deadline: Option<Instant>) -> Result<(), Failure> {
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
