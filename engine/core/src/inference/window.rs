//! Rows of input, gathered until a window is full. Batches stay as they are; only requests are put together later.
//!
//! Windows grow: the first is small, so that `WHERE ai_query(...) > 0.5 LIMIT 10` ends soon; later ones are large,
//! so that there are texts of like length to batch.

use arrow::array::{Array, RecordBatch};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::{Stream, StreamExt, stream};

/// Rows that are sent to models together.
pub(super) struct Window {
    pub batches: Vec<RecordBatch>,
    /// Covers the batches, and grows with what is made of them.
    pub reservation: MemoryReservation,
}

/// How many rows a window has.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowRows {
    pub first: usize,
    pub most: usize,
}

impl WindowRows {
    /// For models that take milliseconds a row.
    pub const TEXT: Self = Self { first: 256, most: 8_192 };
    /// For models that take microseconds a row: as long as a batch of the default size, which then needs no copy.
    pub const TABULAR: Self = Self { first: 8_192, most: 8_192 };
}

/// However wide its rows, a window ends here.
const WINDOW_BYTES_MAX: usize = 64 << 20;

/// `reservation`: of the pool that windows reserve their memory from.
pub(super) fn windows(
    input: SendableRecordBatchStream,
    rows: WindowRows,
    reservation: MemoryReservation,
) -> impl Stream<Item = Result<Window>> + Send {
    let gather = Gather { input, rest: None, rows_target: rows.first, rows, reservation };
    stream::try_unfold(gather, |mut gather| async move {
        let window = gather.window().await?;
        Ok(window.map(|window| (window, gather)))
    })
}

struct Gather {
    input: SendableRecordBatchStream,
    /// What of the last batch didn't fit.
    rest: Option<RecordBatch>,
    rows_target: usize,
    rows: WindowRows,
    reservation: MemoryReservation,
}

impl Gather {
    async fn window(&mut self) -> Result<Option<Window>> {
        let reservation = self.reservation.new_empty();
        let mut batches: Vec<RecordBatch> = vec![];
        let mut rows = 0;
        while rows < self.rows_target && reservation.size() < WINDOW_BYTES_MAX {
            let Some(batch) = self.batch().await? else { break };
            let taken = batch.num_rows().min(self.rows_target - rows);
            let part = batch.slice(0, taken);
            if let Err(full) = reservation.try_grow(bytes(&part)) {
                self.rest = Some(batch);
                match batches.is_empty() {
                    true => return Err(full),
                    // What is there can run, and frees its memory for the next.
                    false => break,
                }
            }
            if taken < batch.num_rows() {
                self.rest = Some(batch.slice(taken, batch.num_rows() - taken));
            }
            rows += taken;
            batches.push(part);
        }
        self.rows_target = (self.rows_target * 2).min(self.rows.most);
        Ok((!batches.is_empty()).then_some(Window { batches, reservation }))
    }

    async fn batch(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        while let Some(batch) = self.input.next().await.transpose()? {
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

/// The bytes that a batch's own rows take; a slice doesn't count what it doesn't show.
pub(super) fn bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int32Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::TryStreamExt;

    use super::*;

    async fn sizes(batch_rows: &[usize], rows: WindowRows, memory_bytes: usize) -> Result<Vec<usize>> {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int32, false)]));
        let of = |&rows: &usize| {
            let column = Arc::new(Int32Array::from(vec![1; rows]));
            Ok(RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap())
        };
        let batches: Vec<_> = batch_rows.iter().map(of).collect();
        let input = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), stream::iter(batches)));
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(memory_bytes));
        let reservation = MemoryConsumer::new("test").register(&pool);
        let count = |window: Window| window.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        windows(input, rows, reservation).map_ok(count).try_collect().await
    }

    #[tokio::test]
    async fn windows_double_and_cut_batches() {
        let rows = WindowRows { first: 2, most: 8 };
        assert_eq!(sizes(&[20, 0, 3], rows, 1 << 20).await.unwrap(), [2, 4, 8, 8, 1]);
        assert_eq!(sizes(&[1, 1, 1], rows, 1 << 20).await.unwrap(), [2, 1]);
        assert!(sizes(&[], rows, 1 << 20).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_window_without_room_to_grow_runs_as_it_is() {
        let rows = WindowRows { first: 8, most: 8 };
        // Four bytes a row: room for five.
        assert_eq!(sizes(&[3, 3, 3], rows, 20).await.unwrap(), [3, 3, 3]);
        assert!(sizes(&[7], rows, 20).await.is_err());
    }
}
