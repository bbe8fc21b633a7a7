//! What a running statement hands to its client: schema, stream, command tag; and what can end it from outside:
//! a cancel request, a closed connection, `statement_timeout`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, Stream, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::error::{Error, Result};
use crate::reading::Reading;
use crate::statements::copy::Copying;

/// One statement under way. Dropping it ends scans and inference.
pub struct Execution {
    pub schema: SchemaRef,
    /// Whether the client is told of rows at all (`SELECT` of no columns still returns rows).
    pub returns_rows: bool,
    pub stream: SendableRecordBatchStream,
    pub tag: CommandTag,
    pub notices: Vec<Notice>,
    /// What is exchanged with the client beside messages; a COPY's alone.
    pub copy: Option<Copying>,
}

impl Execution {
    pub fn rows(verb: &'static str, stream: SendableRecordBatchStream) -> Self {
        Self {
            schema: stream.schema(),
            returns_rows: true,
            stream,
            tag: CommandTag::Rows(verb),
            notices: vec![],
            copy: None,
        }
    }

    /// A statement that is done when it returns, and has no rows.
    pub fn done(tag: impl Into<String>) -> Self {
        let schema = Arc::new(Schema::empty());
        let stream = RecordBatchStreamAdapter::new(Arc::clone(&schema), futures::stream::empty());
        Self {
            schema,
            returns_rows: false,
            stream: Box::pin(stream),
            tag: CommandTag::Done(tag.into()),
            notices: vec![],
            copy: None,
        }
    }

    pub fn batch(verb: &'static str, batch: RecordBatch) -> Self {
        let schema = batch.schema();
        let stream = futures::stream::once(async move { Ok(batch) });
        Self::rows(verb, Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    pub fn with_notice(mut self, severity: &'static str, message: impl Into<String>) -> Self {
        self.notices.push(Notice { severity, message: message.into() });
        self
    }
}

/// Something the client is told beside the result.
#[derive(Clone, Debug)]
pub struct Notice {
    /// `NOTICE` or `WARNING`.
    pub severity: &'static str,
    pub message: String,
}

/// The words of CommandComplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandTag {
    /// The verb; the server counts the rows it sent.
    Rows(&'static str),
    Done(String),
    /// The connection forgets this prepared statement, or all of them.
    Deallocate(Option<String>),
}

impl CommandTag {
    pub fn render(&self, rows: u64) -> String {
        match self {
            Self::Rows(verb @ ("SELECT" | "COPY")) => format!("{verb} {rows}"),
            Self::Rows(verb) => verb.to_string(),
            Self::Done(tag) => tag.clone(),
            Self::Deallocate(Some(_)) => "DEALLOCATE".to_string(),
            Self::Deallocate(None) => "DEALLOCATE ALL".to_string(),
        }
    }
}

/// Who runs which statement: read by operators that account for their work. An extension of the session's
/// configuration, new for each statement.
#[derive(Clone, Debug)]
pub struct StatementContext {
    pub query_id: u64,
    pub user: String,
}

/// What ends a statement from outside.
#[derive(Clone, Debug)]
pub struct Limits {
    token: CancellationToken,
    deadline: Option<Instant>,
    reading: Reading,
}

impl Limits {
    pub(crate) fn new(token: CancellationToken, timeout: Option<Duration>, reading: Reading) -> Self {
        Self { token, deadline: timeout.map(|timeout| Instant::now() + timeout), reading }
    }

    /// Runs a future until it is ready, cancelled or too late; in the last two cases it is dropped.
    pub async fn guard<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let late = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(Error::canceled("user request")),
            () = late => Err(Error::canceled("statement timeout")),
            result = work => result,
        }
    }

    /// The same for a stream.
    pub fn guard_stream(&self, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
        Box::pin(Guarded {
            schema: stream.schema(),
            inner: Some(stream),
            _reading: self.reading.clone(),
            cancelled: Box::pin(self.token.clone().cancelled_owned()),
            late: self.deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline))),
        })
    }
}

struct Guarded {
    schema: SchemaRef,
    /// Given back when the stream is dropped.
    _reading: Reading,
    inner: Option<SendableRecordBatchStream>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    late: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Guarded {
    fn end(&mut self, reason: &str) -> Poll<Option<datafusion::error::Result<RecordBatch>>> {
        self.inner = None;
        Poll::Ready(Some(Err(DataFusionError::from(Error::canceled(reason)))))
    }
}

impl Stream for Guarded {
    type Item = datafusion::error::Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.inner.is_none() {
            return Poll::Ready(None);
        }
        if self.cancelled.poll_unpin(context).is_ready() {
            return self.end("user request");
        }
        if self.late.as_mut().is_some_and(|late| late.poll_unpin(context).is_ready()) {
            return self.end("statement timeout");
        }
        match &mut self.inner {
            Some(inner) => inner.poll_next_unpin(context),
            None => Poll::Ready(None),
        }
    }
}

impl RecordBatchStream for Guarded {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
