//! Kept rows as a table, with what is known of their number: joins choose their sides by it.

use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, UInt64Type};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

use super::{Chosen, Kept};

#[derive(Debug)]
pub(super) struct KeptTable {
    kept: Kept,
    chosen: Chosen,
}

impl KeptTable {
    pub fn new(kept: Kept, chosen: Chosen) -> Self {
        Self { kept, chosen }
    }
}

#[async_trait]
impl TableProvider for KeptTable {
    fn schema(&self) -> SchemaRef {
        self.kept.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema().fields().len()).collect());
        Ok(Arc::new(KeptExec::try_new(self.kept.clone(), self.chosen.clone(), columns)?))
    }
}

#[derive(Debug)]
struct KeptExec {
    kept: Kept,
    chosen: Chosen,
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl KeptExec {
    fn try_new(kept: Kept, chosen: Chosen, columns: Vec<usize>) -> Result<Self> {
        let schema = Arc::new(kept.schema().project(&columns)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { kept, chosen, columns, properties: Arc::new(properties) })
    }

    fn rows(&self) -> u64 {
        match &self.chosen {
            Chosen::All => self.kept.rows(),
            Chosen::Only(rows) => rows.len(),
            Chosen::Except(rows) => self.kept.rows().saturating_sub(rows.len()),
        }
    }
}

impl DisplayAs for KeptExec {
    fn fmt_as(&self, _format: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeptExec: rows={}", self.rows())
    }
}

impl ExecutionPlan for KeptExec {
    fn name(&self) -> &str {
        "KeptExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (chosen, columns) = (self.chosen.clone(), self.columns.clone());
        let rows = self.kept.rows.stream().map(move |batch| Ok(choose(&batch?, &chosen)?.project(&columns)?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let rows = self.rows() as usize;
        let share = rows as f64 / (self.kept.rows().max(1) as f64);
        let bytes = self.kept.bytes as f64 * share;
        let mut statistics = Statistics::new_unknown(self.schema().as_ref());
        statistics.num_rows = Precision::Exact(rows);
        statistics.total_byte_size = Precision::Inexact(bytes as usize);
        Ok(Arc::new(statistics))
    }
}

/// The rows whose numbers, which are the last column, are chosen.
fn choose(batch: &RecordBatch, chosen: &Chosen) -> Result<RecordBatch> {
    let (rows, wanted) = match chosen {
        Chosen::All => return Ok(batch.clone()),
        Chosen::Only(rows) => (rows, true),
        Chosen::Except(rows) => (rows, false),
    };
    let Some(numbers) = batch.columns().last().and_then(|column| column.as_primitive_opt::<UInt64Type>()) else {
        return Ok(batch.clone());
    };
    let mask: BooleanArray = numbers.values().iter().map(|row| Some(rows.contains(*row) == wanted)).collect();
    Ok(filter_record_batch(batch, &mask)?)
}
