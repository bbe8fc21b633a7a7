//! The way of a COPY's rows from whoever decodes them to their table. The table takes them for complete only when it
//! is told so: a way that is cut off is an error.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// Batches on their way: more make the sender wait.
const QUEUED_BATCHES_MAX: usize = 2;

/// What is held is asked of the pool in steps of this.
const HOLD_STEP_BYTES: usize = 1 << 20;

enum Message {
    Rows(RecordBatch),
    End,
}

/// Where the decoded rows of a COPY go.
pub struct CopyRows {
    queue: mpsc::Sender<Message>,
    reservation: MemoryReservation,
}

impl CopyRows {
    /// Hands rows on, and waits while the table is busy with earlier ones.
    pub async fn send(&self, rows: RecordBatch) {
        self.pass(Message::Rows(rows)).await;
    }

    /// Says that these were all rows.
    pub async fn end(&self) {
        self.pass(Message::End).await;
    }

    /// Says how many bytes are held for rows that haven't been sent.
    ///
    /// # Errors
    /// Out of memory, when the session's pool has no more.
    pub fn hold(&self, bytes: usize) -> Result<()> {
        let bytes = bytes.next_multiple_of(HOLD_STEP_BYTES);
        if bytes != self.reservation.size() {
            self.reservation.try_resize(bytes)?;
        }
        Ok(())
    }

    async fn pass(&self, message: Message) {
        if self.queue.send(message).await.is_err() {
            // The table has given up, and says why elsewhere: whoever waits for both hears it there.
            std::future::pending::<()>().await;
        }
    }
}

pub(super) fn channel(schema: &SchemaRef, pool: &Arc<dyn MemoryPool>) -> (CopyRows, SendableRecordBatchStream) {
    let (queue, messages) = mpsc::channel(QUEUED_BATCHES_MAX);
    let rows = futures::stream::unfold(Some(messages), |messages: Option<mpsc::Receiver<Message>>| async move {
        let mut messages = messages?;
        match messages.recv().await {
            Some(Message::Rows(rows)) => Some((Ok(rows), Some(messages))),
            Some(Message::End) => None,
            None => Some((Err(DataFusionError::from(Error::internal("the rows of a COPY were cut off"))), None)),
        }
    });
    let reservation = MemoryConsumer::new("copy from client").register(pool);
    (CopyRows { queue, reservation }, Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), rows)))
}
