//! Parquet files of a Delta table as a plan reads them: DataFusion's scan, with a word on which files it was spared,
//! and without filters on floating-point columns.
//!
//! Minima and maxima of floating-point columns leave NaN out, in the log as in Parquet files, while NaN is greater
//! than any number in comparisons. A filter on such a column would skip rows that it holds for.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::{DataSource, OpenArgs};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};

/// How many files and bytes a scan has, and why it hasn't more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pruned {
    pub files_of_table: usize,
    pub bytes_of_table: u64,
    pub files: usize,
    pub bytes: u64,
    pub files_by_partitions: usize,
    pub files_by_statistics: usize,
}

impl fmt::Display for Pruned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "delta_files={}/{}, delta_bytes={}/{}, files_pruned_by_partitions={}, files_pruned_by_statistics={}",
            self.files,
            self.files_of_table,
            self.bytes,
            self.bytes_of_table,
            self.files_by_partitions,
            self.files_by_statistics
        )
    }
}

#[derive(Clone, Debug)]
pub(crate) struct DeltaSource {
    files: Arc<dyn DataSource>,
    pruned: Pruned,
}

impl DeltaSource {
    pub fn new(files: FileScanConfig, pruned: Pruned) -> DeltaSource {
        DeltaSource { files: Arc::new(files), pruned }
    }

    fn with(&self, files: Arc<dyn DataSource>) -> Arc<dyn DataSource> {
        Arc::new(DeltaSource { files, pruned: self.pruned })
    }

    /// Whether statistics speak for all values of the columns that `filter` names.
    fn may_push(&self, filter: &Arc<dyn PhysicalExpr>) -> Result<bool> {
        let properties = self.files.eq_properties();
        let mut may = true;
        filter.apply(|expression| {
            if let Some(column) = expression.downcast_ref::<Column>() {
                let field = properties.schema().fields().get(column.index());
                may = field.is_some_and(|field| !field.data_type().is_floating());
            }
            Ok(if may { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
        Ok(may)
    }
}

impl DataSource for DeltaSource {
    fn open(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.files.open(partition, context)
    }

    fn fmt_as(&self, format: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match format {
            DisplayFormatType::TreeRender => {
                writeln!(formatter, "files={}/{}", self.pruned.files, self.pruned.files_of_table)?
            }
            _ => write!(formatter, "{}, ", self.pruned)?,
        }
        self.files.fmt_as(format, formatter)
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        file_bytes_min: usize,
        ordering: Option<LexOrdering>,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(self.files.repartitioned(target_partitions, file_bytes_min, ordering)?.map(|files| self.with(files)))
    }

    fn output_partitioning(&self) -> Partitioning {
        self.files.output_partitioning()
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        self.files.eq_properties()
    }

    fn scheduling_type(&self) -> SchedulingType {
        self.files.scheduling_type()
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        self.files.partition_statistics(partition)
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        self.files.with_fetch(limit).map(|files| self.with(files))
    }

    fn fetch(&self) -> Option<usize> {
        self.files.fetch()
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.files.metrics()
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(self.files.try_swapping_with_projection(projection)?.map(|files| self.with(files)))
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let pushable = filters.iter().map(|filter| self.may_push(filter)).collect::<Result<Vec<bool>>>()?;
        let pushed = filters.into_iter().zip(&pushable).filter(|(_, may)| **may).map(|(filter, _)| filter).collect();
        let result = self.files.try_pushdown_filters(pushed, config)?;
        let mut taken = result.filters.into_iter();
        let filters = pushable
            .into_iter()
            .map(|may| if may { taken.next().unwrap_or(PushedDown::No) } else { PushedDown::No })
            .collect();
        Ok(FilterPushdownPropagation { filters, updated_node: result.updated_node.map(|files| self.with(files)) })
    }

    fn try_pushdown_sort(&self, order: &[PhysicalSortExpr]) -> Result<SortOrderPushdownResult<Arc<dyn DataSource>>> {
        Ok(match self.files.try_pushdown_sort(order)? {
            SortOrderPushdownResult::Exact { inner } => SortOrderPushdownResult::Exact { inner: self.with(inner) },
            SortOrderPushdownResult::Inexact { inner } => SortOrderPushdownResult::Inexact { inner: self.with(inner) },
            SortOrderPushdownResult::Unsupported => SortOrderPushdownResult::Unsupported,
        })
    }

    fn with_preserve_order(&self, preserve_order: bool) -> Option<Arc<dyn DataSource>> {
        self.files.with_preserve_order(preserve_order).map(|files| self.with(files))
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.files.apply_expressions(visit)
    }

    fn with_new_state(&self, state: Arc<dyn Any + Send + Sync>) -> Option<Arc<dyn DataSource>> {
        self.files.with_new_state(state).map(|files| self.with(files))
    }

    fn create_sibling_state(&self, config: &ConfigOptions) -> Option<Arc<dyn Any + Send + Sync>> {
        self.files.create_sibling_state(config)
    }

    fn open_with_args(&self, arguments: OpenArgs) -> Result<SendableRecordBatchStream> {
        self.files.open_with_args(arguments)
    }
}
