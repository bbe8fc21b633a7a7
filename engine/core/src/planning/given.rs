//! Tables that a statement hands to its own planning, under names that no text can hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

use super::CATALOG;
use crate::catalog::DEFAULT_SCHEMA;

/// Stands before a given table's name.
const GIVEN: char = '\u{1d}';

type Tables = Arc<BTreeMap<String, Arc<dyn TableProvider>>>;

/// A copy of `state` that has these tables beside its own; [`given_name`] is how a query names them.
pub(crate) fn with_given(state: &SessionState, tables: Vec<(&str, Arc<dyn TableProvider>)>) -> SessionState {
    let mut state = state.clone();
    let tables = tables.into_iter().map(|(name, table)| (format!("{GIVEN}{name}"), table)).collect();
    let catalogs = Given { inner: Arc::clone(state.catalog_list()), tables: Arc::new(tables) };
    state.register_catalog_list(Arc::new(catalogs));
    state
}

pub(crate) fn given_name(name: &str) -> ObjectName {
    let quoted = |part: &str| Ident::with_quote('"', part);
    ObjectName::from(vec![quoted(CATALOG), quoted(DEFAULT_SCHEMA), quoted(&format!("{GIVEN}{name}"))])
}

/// A catalog list, a catalog or a schema with the given tables in it.
#[derive(Debug)]
struct Given<T: ?Sized> {
    inner: Arc<T>,
    tables: Tables,
}

impl CatalogProviderList for Given<dyn CatalogProviderList> {
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        self.inner.catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let inner = self.inner.catalog(name)?;
        Some(if name == CATALOG { Arc::new(Given { inner, tables: Arc::clone(&self.tables) }) } else { inner })
    }
}

impl CatalogProvider for Given<dyn CatalogProvider> {
    fn schema_names(&self) -> Vec<String> {
        self.inner.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let inner = self.inner.schema(name)?;
        Some(if name == DEFAULT_SCHEMA { Arc::new(Given { inner, tables: Arc::clone(&self.tables) }) } else { inner })
    }
}

#[async_trait]
impl SchemaProvider for Given<dyn SchemaProvider> {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.tables.get(name) {
            Some(table) => Ok(Some(Arc::clone(table))),
            None => self.inner.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.inner.table_exist(name)
    }
}
