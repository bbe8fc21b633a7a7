//! Rows put by for later in the same statement: in memory while they are few, in a spill file once they are many.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, SpillFile, SpillWriter, TaskContext};
use datafusion::physical_plan::stream::{RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter};
use datafusion::physical_plan::streaming::PartitionStream;

use crate::error::{Error, Result};

/// What stays in memory.
const HELD_BYTES_MAX: usize = 32 << 20;
const READ_AHEAD_BATCHES: usize = 2;

type SpilledRows = StreamWriter<BufWriter<Box<dyn SpillWriter>>>;

/// Takes rows in.
pub struct Keeper {
    schema: SchemaRef,
    runtime: Arc<RuntimeEnv>,
    held: Vec<RecordBatch>,
    reservation: MemoryReservation,
    spilled: Option<(Arc<dyn SpillFile>, SpilledRows)>,
    rows: u64,
}

impl Keeper {
    pub fn new(schema: SchemaRef, runtime: Arc<RuntimeEnv>) -> Keeper {
        let reservation = MemoryConsumer::new("rows put by").with_can_spill(true).register(&runtime.memory_pool);
        Keeper { schema, runtime, held: Vec::new(), reservation, spilled: None, rows: 0 }
    }

    /// Takes a batch, whose types are those of the schema.
    ///
    /// # Errors
    /// Those of the spill file.
    pub fn put(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows = self.rows.saturating_add(batch.num_rows() as u64);
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), batch.columns().to_vec(), &options)
            .map_err(DataFusionError::from)?;
        if let Some((_, writer)) = &mut self.spilled {
            return Ok(writer.write(&batch).map_err(DataFusionError::from)?);
        }
        let bytes = batch.get_array_memory_size();
        if self.reservation.size() + bytes <= HELD_BYTES_MAX && self.reservation.try_grow(bytes).is_ok() {
            self.held.push(batch);
            return Ok(());
        }
        let file = self.runtime.disk_manager.create_tmp_file("rows put by for later")?;
        let output = BufWriter::new(file.open_writer()?);
        let mut writer = StreamWriter::try_new(output, &self.schema).map_err(DataFusionError::from)?;
        for held in self.held.drain(..).chain([batch]) {
            writer.write(&held).map_err(DataFusionError::from)?;
        }
        self.reservation.free();
        self.spilled = Some((file, writer));
        Ok(())
    }

    /// The rows, to be read as often as one likes.
    ///
    /// # Errors
    /// Those of the spill file.
    pub fn finish(self) -> Result<Kept> {
        let file = match self.spilled {
            Some((file, writer)) => {
                let output = writer.into_inner().map_err(DataFusionError::from)?;
                let mut output = output.into_inner().map_err(|error| Error::Io(error.into_error()))?;
                output.finish()?;
                Some(file)
            }
            None => None,
        };
        let (schema, held, reservation) = (self.schema, self.held, self.reservation);
        let inner = Inner { schema, held, _reservation: reservation, file, rows: self.rows };
        Ok(Kept { inner: Arc::new(inner) })
    }
}

/// Rows that were put by. Cheap to clone; memory and file are given back with the last clone, its streams included.
#[derive(Clone, Debug)]
pub struct Kept {
    inner: Arc<Inner>,
}

struct Inner {
    schema: SchemaRef,
    held: Vec<RecordBatch>,
    _reservation: MemoryReservation,
    file: Option<Arc<dyn SpillFile>>,
    rows: u64,
}

impl fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kept").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Kept {
    pub fn rows(&self) -> u64 {
        self.inner.rows
    }

    pub fn schema(&self) -> SchemaRef {
        self.inner.schema.clone()
    }

    /// Whether they are so many that they went to disk.
    pub fn is_spilled(&self) -> bool {
        self.inner.file.is_some()
    }

    /// The rows as a table, in the order in which they were put by.
    ///
    /// # Errors
    /// None to be expected.
    pub fn provider(&self) -> Result<Arc<dyn TableProvider>> {
        let schema = self.schema();
        if self.is_spilled() {
            return Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(self.clone())])?));
        }
        Ok(Arc::new(MemTable::try_new(schema, vec![self.inner.held.clone()])?))
    }

    /// The rows, in the order in which they were put by.
    pub fn stream(&self) -> SendableRecordBatchStream {
        let inner = self.inner.clone();
        if inner.file.is_none() {
            let schema = inner.schema.clone();
            let batches = (0..inner.held.len()).filter_map(move |index| inner.held.get(index).cloned()).map(Ok);
            return Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)));
        }
        let mut builder = RecordBatchReceiverStreamBuilder::new(inner.schema.clone(), READ_AHEAD_BATCHES);
        let sender = builder.tx();
        builder.spawn_blocking(move || {
            let Some(file) = &inner.file else { return Ok(()) };
            let missing = || DataFusionError::Internal("a spill file without a path".to_owned());
            let input = BufReader::new(File::open(file.path().ok_or_else(missing)?)?);
            for batch in StreamReader::try_new(input, None)? {
                // The reader has gone.
                if sender.blocking_send(batch.map_err(DataFusionError::from)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}

impl PartitionStream for Kept {
    fn schema(&self) -> &SchemaRef {
        &self.inner.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.stream()
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::DataFusion(error) => error,
            error => DataFusionError::External(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn many_rows_go_to_disk_and_come_back_in_order() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        for batches in [3, 600] {
            let mut keeper = Keeper::new(schema.clone(), Arc::new(RuntimeEnv::default()));
            for batch in 0..batches {
                let values = Int64Array::from_iter_values(batch * 8192..(batch + 1) * 8192);
                keeper.put(RecordBatch::try_new(schema.clone(), vec![Arc::new(values)]).unwrap()).unwrap();
            }
            let kept = keeper.finish().unwrap();
            assert_eq!((kept.is_spilled(), kept.rows()), (batches == 600, batches as u64 * 8192));
            for _ in 0..2 {
                let read: Vec<RecordBatch> = kept.stream().try_collect().await.unwrap();
                let values = read
                    .iter()
                    .flat_map(|batch| batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec());
                assert!(values.eq(0..batches * 8192));
            }
        }
    }
}
