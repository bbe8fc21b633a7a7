//! Tables that only one session sees, over those that all see: what its open transaction has written. And the search
//! path, which is a schema of its own: it has the tables of several.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::TableType;
use parking_lot::RwLock;

use crate::catalog::DEFAULT_SCHEMA;

/// Stands between the schemas in the name of a path; no name has it.
const PATH_SEPARATOR: char = '\u{1f}';

/// The name of the schema in which bare names are found.
pub(super) fn name_of_path(schemas: &[String]) -> String {
    match schemas {
        [] => DEFAULT_SCHEMA.to_string(),
        schemas => schemas.join(&PATH_SEPARATOR.to_string()),
    }
}

/// A table's name in an error, without the path in which it wasn't found.
pub(crate) fn without_path(name: &str) -> &str {
    let name = super::versions::without_version(name);
    match name.rsplit_once(PATH_SEPARATOR) {
        Some((_, rest)) => rest.split_once('.').map_or(rest, |(_, name)| name),
        None => name,
    }
}

/// Providers by schema and name.
#[derive(Default)]
pub(crate) struct Overlay {
    tables: RwLock<BTreeMap<(String, String), Arc<dyn TableProvider>>>,
}

impl Overlay {
    pub fn put(&self, schema: &str, name: &str, provider: Arc<dyn TableProvider>) {
        self.tables.write().insert((schema.into(), name.into()), provider);
    }

    pub fn clear(&self) {
        self.tables.write().clear();
    }

    fn find(&self, schema: &str, name: &str) -> Option<Arc<dyn TableProvider>> {
        // Almost always empty: no key is built then.
        let tables = self.tables.read();
        if tables.is_empty() { None } else { tables.get(&(schema.to_string(), name.to_string())).cloned() }
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.tables.read().keys()).finish()
    }
}

/// The session's only catalog list: one catalog, which can't be replaced or joined by others through SQL.
#[derive(Debug)]
pub(crate) struct OverlayCatalogs {
    name: String,
    catalog: Arc<OverlayCatalog>,
}

impl OverlayCatalogs {
    pub fn new(name: &str, inner: Arc<dyn CatalogProvider>, overlay: Arc<Overlay>) -> Self {
        Self { name: name.into(), catalog: Arc::new(OverlayCatalog { inner, overlay }) }
    }
}

impl CatalogProviderList for OverlayCatalogs {
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == self.name).then(|| Arc::clone(&self.catalog) as Arc<dyn CatalogProvider>)
    }
}

#[derive(Debug)]
struct OverlayCatalog {
    inner: Arc<dyn CatalogProvider>,
    overlay: Arc<Overlay>,
}

impl CatalogProvider for OverlayCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.inner.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name.contains(PATH_SEPARATOR) {
            let schemas = name.split(PATH_SEPARATOR).filter_map(|name| self.schema(name)).collect();
            return Some(Arc::new(PathSchema { schemas }));
        }
        let inner = self.inner.schema(name)?;
        Some(Arc::new(OverlaySchema { name: name.into(), inner, overlay: Arc::clone(&self.overlay) }))
    }
}

/// The first table of a name in the schemas of a path.
#[derive(Debug)]
struct PathSchema {
    schemas: Vec<Arc<dyn SchemaProvider>>,
}

impl PathSchema {
    fn holder(&self, name: &str) -> Option<&Arc<dyn SchemaProvider>> {
        self.schemas.iter().find(|schema| schema.table_exist(name))
    }
}

#[async_trait]
impl SchemaProvider for PathSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.schemas.iter().flat_map(|schema| schema.table_names()).collect();
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.holder(name) {
            Some(schema) => schema.table(name).await,
            None => Ok(None),
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        match self.holder(name) {
            Some(schema) => schema.table_type(name).await,
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.holder(name).is_some()
    }
}

#[derive(Debug)]
struct OverlaySchema {
    name: String,
    inner: Arc<dyn SchemaProvider>,
    overlay: Arc<Overlay>,
}

#[async_trait]
impl SchemaProvider for OverlaySchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.inner.table_names();
        let tables = self.overlay.tables.read();
        names.extend(tables.keys().filter(|(schema, _)| *schema == self.name).map(|(_, name)| name.clone()));
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.overlay.find(&self.name, name) {
            Some(table) => Ok(Some(table)),
            None => self.inner.table(name).await,
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        match self.overlay.find(&self.name, name) {
            Some(table) => Ok(Some(table.table_type())),
            None => self.inner.table_type(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.overlay.find(&self.name, name).is_some() || self.inner.table_exist(name)
    }
}
