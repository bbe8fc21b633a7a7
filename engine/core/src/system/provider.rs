//! A system table to DataFusion: it can be scanned, and nothing else.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::SystemTable;

pub(super) fn provide(table: Arc<dyn SystemTable>) -> Arc<dyn TableProvider> {
    Arc::new(SystemTableProvider { table })
}

#[derive(Debug)]
struct SystemTableProvider {
    table: Arc<dyn SystemTable>,
}

#[async_trait]
impl TableProvider for SystemTableProvider {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = MemTable::try_new(self.table.schema(), vec![vec![self.table.rows()?]])?;
        rows.scan(state, projection, filters, limit).await
    }
}
