//! The tables that one statement's calls stand for, over those that its session sees.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::TableType;

/// No name has it.
const SEPARATOR: char = '\u{1e}';

type Tables = Arc<BTreeMap<String, Arc<dyn TableProvider>>>;

/// The name of a statement's `number`th call.
pub(super) fn name(function: &str, number: usize) -> String {
    format!("{function}{SEPARATOR}{number}")
}

/// Lets a statement's state find the tables.
pub(super) fn register(state: &mut SessionState, tables: BTreeMap<String, Arc<dyn TableProvider>>) {
    let inner = Arc::clone(state.catalog_list());
    state.register_catalog_list(Arc::new(CalledCatalogs { inner, tables: Arc::new(tables) }));
}

struct CalledCatalogs {
    inner: Arc<dyn CatalogProviderList>,
    tables: Tables,
}

impl fmt::Debug for CalledCatalogs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.tables.keys()).finish()
    }
}

impl CatalogProviderList for CalledCatalogs {
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        self.inner.catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let inner = self.inner.catalog(name)?;
        Some(Arc::new(CalledCatalog { inner, tables: Arc::clone(&self.tables) }))
    }
}

#[derive(Debug)]
struct CalledCatalog {
    inner: Arc<dyn CatalogProvider>,
    tables: Tables,
}

impl CatalogProvider for CalledCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.inner.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let inner = self.inner.schema(name)?;
        Some(Arc::new(CalledSchema { inner, tables: Arc::clone(&self.tables) }))
    }
}

#[derive(Debug)]
struct CalledSchema {
    inner: Arc<dyn SchemaProvider>,
    tables: Tables,
}

#[async_trait]
impl SchemaProvider for CalledSchema {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.tables.get(name) {
            Some(table) => Ok(Some(Arc::clone(table))),
            None => self.inner.table(name).await,
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        match self.tables.get(name) {
            Some(table) => Ok(Some(table.table_type())),
            None => self.inner.table_type(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.inner.table_exist(name)
    }
}
