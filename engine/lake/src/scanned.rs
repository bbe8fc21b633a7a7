//! A table as queries scan it: the Delta library's provider, with one of its answers corrected.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{ScanArgs, ScanResult, Session, TableProvider};
use datafusion::common::{Constraints, Statistics};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

/// The inner provider claims to apply a filter that names no column exactly, as if it were one on partitions alone,
/// and then drops it: `x <> 1 AND NULL`, which `x NOT IN (1, NULL)` becomes, would keep rows.
#[derive(Debug)]
pub(crate) struct Scanned {
    inner: Arc<dyn TableProvider>,
}

impl Scanned {
    pub fn new(inner: Arc<dyn TableProvider>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl TableProvider for Scanned {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn constraints(&self) -> Option<&Constraints> {
        self.inner.constraints()
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn get_logical_plan(&self) -> Option<std::borrow::Cow<'_, LogicalPlan>> {
        self.inner.get_logical_plan()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.scan(state, projection, filters, limit).await
    }

    async fn scan_with_args<'a>(&self, state: &dyn Session, args: ScanArgs<'a>) -> Result<ScanResult> {
        self.inner.scan_with_args(state, args).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let mut support = self.inner.supports_filters_pushdown(filters)?;
        for (support, filter) in support.iter_mut().zip(filters) {
            if filter.column_refs().is_empty() {
                *support = TableProviderFilterPushDown::Unsupported;
            }
        }
        Ok(support)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.inner.statistics()
    }
}
