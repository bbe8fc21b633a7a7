//! Streams of rows as plans.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::TableReference;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use parking_lot::Mutex;

use crate::error::Result;

/// A plan that gives the rows of a stream under a table's name. It can run once.
///
/// # Errors
/// When two columns have one name.
pub fn plan_of_rows(name: &str, rows: SendableRecordBatchStream) -> Result<LogicalPlan> {
    let schema = rows.schema();
    let stream = Arc::new(OneStream { schema: Arc::clone(&schema), rows: Mutex::new(Some(rows)) });
    let table = StreamingTable::try_new(schema, vec![stream])?;
    let scan = LogicalPlanBuilder::scan(TableReference::bare(name), provider_as_source(Arc::new(table)), None)?;
    Ok(scan.build()?)
}

/// Rows that can be read once.
struct OneStream {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl std::fmt::Debug for OneStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("rows of a stream")
    }
}

impl PartitionStream for OneStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        match self.rows.lock().take() {
            Some(rows) => rows,
            None => {
                let read_twice = DataFusionError::Internal("the rows of a stream were read twice".to_owned());
                let stream = futures::stream::once(async move { Err(read_twice) });
                Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream))
            }
        }
    }
}
