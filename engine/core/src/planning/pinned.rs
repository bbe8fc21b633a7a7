//! Tables of one statement over those of its session: the versions that it works on, under the names that they have
//! for everybody, and what it needs beside them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::TableType;

use super::CATALOG;
use super::overlay::{Overlay, schemas_of_path};

/// The state with `tables` in their schemas of the database.
pub(crate) fn overlaid(state: &SessionState, tables: Overlay) -> SessionState {
    let inner = Arc::clone(state.catalog_list());
    let mut state = state.clone();
    state.register_catalog_list(Arc::new(PinnedCatalogs { inner, tables: Arc::new(tables) }));
    state
}

#[derive(Debug)]
struct PinnedCatalogs {
    inner: Arc<dyn CatalogProviderList>,
    tables: Arc<Overlay>,
}

impl CatalogProviderList for PinnedCatalogs {
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        self.inner.catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let inner = self.inner.catalog(name)?;
        if name != CATALOG {
            return Some(inner);
        }
        Some(Arc::new(PinnedCatalog { inner, tables: Arc::clone(&self.tables) }))
    }
}

#[derive(Debug)]
struct PinnedCatalog {
    inner: Arc<dyn CatalogProvider>,
    tables: Arc<Overlay>,
}

impl CatalogProvider for PinnedCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.inner.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let path = schemas_of_path(name).map(|schema| (schema.to_owned(), self.inner.schema(schema))).collect();
        let inner = self.inner.schema(name)?;
        Some(Arc::new(PinnedSchema { path, inner, tables: Arc::clone(&self.tables) }))
    }
}

#[derive(Debug)]
struct PinnedSchema {
    /// The schemas in which a name is looked up, in their order: one, or those of the search path.
    path: Vec<(String, Option<Arc<dyn SchemaProvider>>)>,
    inner: Arc<dyn SchemaProvider>,
    tables: Arc<Overlay>,
}

impl PinnedSchema {
    fn find(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        for (schema, inner) in &self.path {
            if let Some(table) = self.tables.find(schema, name) {
                return Some(table);
            }
            if inner.as_ref().is_some_and(|inner| inner.table_exist(name)) {
                return None;
            }
        }
        None
    }
}

#[async_trait]
impl SchemaProvider for PinnedSchema {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.find(name) {
            Some(table) => Ok(Some(table)),
            None => self.inner.table(name).await,
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        match self.find(name) {
            Some(table) => Ok(Some(table.table_type())),
            None => self.inner.table_type(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_some() || self.inner.table_exist(name)
    }
}
