//! The rows of a query, kept and numbered for the length of a statement that reads them more than once: in memory while
//! they are few, in a spill file once they are many.

mod row_set;
mod scan;

use std::sync::Arc;

use alluvia_lake::{Keeper, Kept as Rows};
use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use futures::StreamExt;

use crate::error::Result;
pub(crate) use row_set::RowSet;
use scan::KeptTable;

/// The last column of kept rows: their places, from 0.
pub(crate) const KEPT_ROW: &str = "__alluvia_kept_row";

/// Cheap to clone. Memory and file are given back with the last clone, its scans included.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    rows: Rows,
    bytes: usize,
}

/// Which kept rows a scan has.
#[derive(Clone, Debug)]
pub(crate) enum Chosen {
    All,
    Only(Arc<RowSet>),
    Except(Arc<RowSet>),
}

impl Kept {
    /// Reads `rows` to their end. Dropping the future drops what has been kept by then.
    pub async fn collect(mut rows: SendableRecordBatchStream, context: &TaskContext) -> Result<Kept> {
        let schema = with_row(&rows.schema());
        let mut keeper = Keeper::new(Arc::clone(&schema), context.runtime_env());
        let (mut count, mut bytes) = (0u64, 0usize);
        while let Some(batch) = rows.next().await {
            let batch = numbered(&batch?, &schema, count)?;
            count += batch.num_rows() as u64;
            bytes += get_record_batch_memory_size(&batch);
            keeper.put(batch)?;
        }
        Ok(Kept { rows: keeper.finish()?, bytes })
    }

    /// The rows' columns, and last [`KEPT_ROW`].
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    pub fn rows(&self) -> u64 {
        self.rows.rows()
    }

    /// What the rows take in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows as a table; each scan has them in their order.
    pub fn table(&self, chosen: Chosen) -> Arc<dyn TableProvider> {
        Arc::new(KeptTable::new(self.clone(), chosen))
    }
}

/// The schema of kept rows that have these columns.
pub(crate) fn with_row(columns: &Schema) -> SchemaRef {
    let row = Arc::new(Field::new(KEPT_ROW, DataType::UInt64, false));
    Arc::new(Schema::new(columns.fields().iter().cloned().chain([row]).collect::<Vec<_>>()))
}

fn numbered(batch: &RecordBatch, schema: &SchemaRef, first: u64) -> Result<RecordBatch> {
    let numbers = UInt64Array::from_iter_values(first..first + batch.num_rows() as u64);
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(numbers) as ArrayRef);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns).map_err(datafusion::error::DataFusionError::from)?)
}
