//! Tables that only one session sees, over those that all see: what its open transaction has written. And the search
//! path, which is a schema of its own: it has the tables of several.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use alluvia_lake::At;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::TableType;
use parking_lot::RwLock;

use super::CATALOG;
use super::attached::AttachedCatalog;
use super::sources::{Recorder, Sources};
use super::temporary::TEMPORARY_SCHEMA;
use super::{versions, views};
use crate::catalog::information_schema::{self, NAME};
use crate::catalog::{DEFAULT_SCHEMA, RESERVED_SCHEMAS, ViewEntry};
use crate::error::{Error, Kind};

/// Stands between the schemas in the name of a path; no name has it.
const PATH_SEPARATOR: char = '\u{1f}';

/// The name of the schema in which bare names are found.
pub(super) fn name_of_path(schemas: &[String]) -> String {
    match schemas {
        [] => DEFAULT_SCHEMA.to_string(),
        schemas => schemas.join(&PATH_SEPARATOR.to_string()),
    }
}

/// The same path under a name that no schema has, so that bare names are told from those with a schema.
pub(super) fn path_of_bare_names(path: &str) -> String {
    if path.contains(PATH_SEPARATOR) { path.to_owned() } else { format!("{path}{PATH_SEPARATOR}") }
}

/// The schemas of a path, or the one schema of that name.
pub(super) fn schemas_of_path(name: &str) -> impl Iterator<Item = &str> {
    name.split(PATH_SEPARATOR).filter(|schema| !schema.is_empty())
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

    pub fn find(&self, schema: &str, name: &str) -> Option<Arc<dyn TableProvider>> {
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

/// The schema of bare names in a view's query: they are those that the view was made from.
pub(super) const BARE_SCHEMA: &str = "\u{1f}";

/// How names are looked up.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// In a statement.
    Statement,
    /// In a query that a view is being made of.
    Recording(Arc<Recorder>),
    /// In the query of a view, `depth` views below the statement.
    View { view: Arc<ViewEntry>, depth: usize },
    /// For what is said about tables: views aren't planned for it.
    Listing,
}

/// The session's only catalog list: its own catalog, which can't be replaced through SQL, and the lakes that are attached.
#[derive(Debug)]
pub(crate) struct OverlayCatalogs {
    catalog: Arc<OverlayCatalog>,
}

impl OverlayCatalogs {
    pub fn new(sources: Arc<Sources>, mode: Mode) -> Self {
        Self { catalog: Arc::new(OverlayCatalog { sources, mode }) }
    }
}

impl CatalogProviderList for OverlayCatalogs {
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        if name == CATALOG {
            return Some(Arc::clone(&self.catalog) as Arc<dyn CatalogProvider>);
        }
        Some(Arc::new(self.catalog.attached(name)?))
    }
}

#[derive(Clone, Debug)]
struct OverlayCatalog {
    sources: Arc<Sources>,
    mode: Mode,
}

impl OverlayCatalog {
    /// Another lake.
    fn attached(&self, name: &str) -> Option<AttachedCatalog> {
        let attachment = self.sources.engine.catalog.snapshot().attachments.get(name).cloned()?;
        if let Mode::Recording(recorder) = &self.mode {
            recorder.attachments.lock().push(attachment.oid);
        }
        Some(AttachedCatalog::new(Arc::clone(&self.sources.lake), attachment))
    }

    fn own_schema(&self, name: &str) -> Option<OverlaySchema> {
        let inner: Option<Arc<dyn SchemaProvider>> = match name {
            TEMPORARY_SCHEMA => None,
            NAME => {
                let listing = OverlayCatalog { mode: Mode::Listing, ..self.clone() };
                let comments = Arc::clone(&self.sources) as Arc<dyn information_schema::Comments>;
                Some(information_schema::over(Arc::new(listing), CATALOG, comments))
            }
            _ => Some(self.sources.lake.schema(name)?),
        };
        Some(OverlaySchema { name: name.into(), inner, catalog: self.clone() })
    }
}

impl CatalogProvider for OverlayCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.sources.lake.schema_names();
        if !self.sources.temporary.is_empty() {
            names.push(TEMPORARY_SCHEMA.to_owned());
        }
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if let Mode::View { view, .. } = &self.mode
            && !RESERVED_SCHEMAS.contains(&name)
            && self.sources.engine.catalog.snapshot().schemas.contains_key(name)
                | (name == BARE_SCHEMA)
                | view.names(name)
        {
            let schema = (name != BARE_SCHEMA).then(|| name.to_owned());
            return Some(Arc::new(BoundSchema { schema, view: Arc::clone(view), catalog: self.clone() }));
        }
        if name.contains(PATH_SEPARATOR) {
            let schemas = name.split(PATH_SEPARATOR).filter_map(|name| self.own_schema(name)).collect();
            return Some(Arc::new(PathSchema { schemas }));
        }
        match self.own_schema(name) {
            Some(schema) => Some(Arc::new(Qualified { schema })),
            // `lake.t` is `lake.public.t`, where no schema has that name.
            None => self.attached(name)?.schema(DEFAULT_SCHEMA),
        }
    }
}

/// The relations that a view was made from, under the names that its query has for them.
#[derive(Debug)]
struct BoundSchema {
    schema: Option<String>,
    view: Arc<ViewEntry>,
    catalog: OverlayCatalog,
}

impl BoundSchema {
    /// Where a relation is now.
    fn locate(&self, name: &str) -> Option<(OverlaySchema, String)> {
        let (bare, _) = versions::split(name);
        let suffix = name.strip_prefix(bare).unwrap_or_default();
        let relations = &self.view.uses.relations;
        let used = relations.iter().find(|used| used.schema == self.schema && used.name == bare)?;
        let (schema, name) = self.catalog.sources.locate(used.oid)?;
        Some((self.catalog.own_schema(&schema)?, format!("{name}{suffix}")))
    }
}

#[async_trait]
impl SchemaProvider for BoundSchema {
    fn table_names(&self) -> Vec<String> {
        vec![]
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.locate(name) {
            Some((schema, name)) => schema.find(&name).await,
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.locate(name).is_some()
    }
}

/// A schema that the query names.
#[derive(Debug)]
struct Qualified {
    schema: OverlaySchema,
}

#[async_trait]
impl SchemaProvider for Qualified {
    fn table_names(&self) -> Vec<String> {
        self.schema.names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = self.schema.find(name).await?;
        if table.is_some() {
            self.schema.note(Some(&self.schema.name), name);
        }
        Ok(table)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        self.schema.kind(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.schema.has(name)
    }
}

/// The first table of a name in the schemas of a path.
#[derive(Debug)]
struct PathSchema {
    schemas: Vec<OverlaySchema>,
}

impl PathSchema {
    fn holder(&self, name: &str) -> Option<&OverlaySchema> {
        self.schemas.iter().find(|schema| schema.has(name))
    }
}

#[async_trait]
impl SchemaProvider for PathSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.schemas.iter().flat_map(|schema| schema.names()).collect();
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(schema) = self.holder(name) else { return Ok(None) };
        let table = schema.find(name).await?;
        if table.is_some() {
            schema.note(None, name);
        }
        Ok(table)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        match self.holder(name) {
            Some(schema) => schema.kind(name).await,
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.holder(name).is_some()
    }
}

/// One schema as the session sees it.
#[derive(Debug)]
struct OverlaySchema {
    name: String,
    /// None of the session's own, which has nothing below it.
    inner: Option<Arc<dyn SchemaProvider>>,
    catalog: OverlayCatalog,
}

impl OverlaySchema {
    fn names(&self) -> Vec<String> {
        let sources = &self.catalog.sources;
        let mut names = self.inner.as_ref().map_or_else(|| sources.temporary.names(), |inner| inner.table_names());
        let tables = sources.overlay.tables.read();
        names.extend(tables.keys().filter(|(schema, _)| *schema == self.name).map(|(_, name)| name.clone()));
        names.sort();
        names.dedup();
        names
    }

    async fn find(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let sources = &self.catalog.sources;
        if let Some(table) = sources.overlay.find(&self.name, name) {
            return Ok(Some(table));
        }
        if let Some(view) = sources.view(&self.name, name) {
            let depth = match &self.catalog.mode {
                Mode::Listing => return Ok(Some(Arc::new(views::stub(&view)?))),
                Mode::View { depth, .. } => *depth,
                Mode::Statement | Mode::Recording(_) => 0,
            };
            return Ok(Some(Arc::new(views::provider(sources, &view, depth).await?)));
        }
        let (bare, at) = versions::split(name);
        if at != At::Newest && sources.view(&self.name, bare).is_some() {
            return Err(Error::new(Kind::WrongObjectType, format!("\"{bare}\" has no versions"))
                .with_detail("It is a view; versions are those of a Delta table.")
                .into());
        }
        match &self.inner {
            Some(inner) => inner.table(name).await,
            None => sources.temporary_table(&self.name, name).await,
        }
    }

    async fn kind(&self, name: &str) -> Result<Option<TableType>> {
        let sources = &self.catalog.sources;
        if let Some(table) = sources.overlay.find(&self.name, name) {
            return Ok(Some(table.table_type()));
        }
        if sources.view(&self.name, name).is_some() {
            return Ok(Some(TableType::View));
        }
        match &self.inner {
            Some(inner) => inner.table_type(name).await,
            None => Ok(self.has(name).then_some(TableType::Temporary)),
        }
    }

    fn has(&self, name: &str) -> bool {
        let sources = &self.catalog.sources;
        sources.overlay.find(&self.name, name).is_some()
            || match &self.inner {
                Some(inner) => inner.table_exist(name),
                None => sources.temporary.find(versions::split(name).0).is_some(),
            }
    }

    /// Tells the recorder of a name that was found, where there is one. What the engine itself fills stays as it is, and
    /// needs no note.
    fn note(&self, schema: Option<&str>, name: &str) {
        let Mode::Recording(recorder) = &self.catalog.mode else { return };
        match self.catalog.sources.oid(&self.name, name) {
            Some(oid) => recorder.note(schema, name, oid),
            None if RESERVED_SCHEMAS.contains(&self.name.as_str()) => {}
            None => recorder.unbound.lock().push(name.to_owned()),
        }
    }
}
