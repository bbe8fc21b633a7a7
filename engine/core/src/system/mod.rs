//! The `system` schema: metadata and measurements as read-only tables, filled anew for each scan.

mod inference_usage;
mod models;
mod provider;
mod schemas;
mod secrets;
mod tables;
mod views;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::TableType;

use crate::catalog::Catalog;
use crate::inference::UsageLog;
use crate::models::Models;

/// One table of the schema.
pub trait SystemTable: Debug + Send + Sync + 'static {
    fn name(&self) -> &'static str;

    fn schema(&self) -> SchemaRef;

    /// All rows as of now; their number is bounded by what the table describes.
    fn rows(&self) -> Result<RecordBatch>;
}

/// The schema's tables.
#[derive(Debug)]
pub struct SystemTables {
    tables: Vec<Arc<dyn SystemTable>>,
}

impl SystemTables {
    pub const SCHEMA: &str = "system";

    pub fn new(catalog: Arc<Catalog>, models: Arc<Models>, usage: Arc<UsageLog>) -> SystemTables {
        SystemTables {
            tables: vec![
                Arc::new(inference_usage::InferenceUsageTable::new(usage)),
                Arc::new(models::ModelsTable::new(Arc::clone(&catalog), models)),
                Arc::new(schemas::SchemasTable::new(Arc::clone(&catalog))),
                Arc::new(secrets::SecretsTable::new(Arc::clone(&catalog))),
                Arc::new(tables::TablesTable::new(Arc::clone(&catalog))),
                Arc::new(views::ViewsTable::new(catalog)),
            ],
        }
    }

    /// Adds a table that another part of the engine fills.
    pub fn with(mut self, table: Arc<dyn SystemTable>) -> SystemTables {
        self.tables.push(table);
        self
    }

    fn find(&self, name: &str) -> Option<&Arc<dyn SystemTable>> {
        self.tables.iter().find(|table| table.name() == name)
    }
}

#[async_trait]
impl SchemaProvider for SystemTables {
    fn table_names(&self) -> Vec<String> {
        self.tables.iter().map(|table| table.name().to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.find(name).map(|table| provider::provide(Arc::clone(table))))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.find(name).map(|_| TableType::View))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

#[cfg(test)]
mod tests;
