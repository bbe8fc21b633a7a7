//! The catalog as DataFusion sees it: names from the newest snapshot, each table opened afresh whenever it is named.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use alluvia_lake::{At, Format, Lake};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::TableType;
use datafusion::prelude::SessionConfig;
use url::Url;

use super::entry::{DEFAULT_SCHEMA, RESERVED_SCHEMAS, TableEntry, TableKind, format_name};
use super::{Catalog, Relation, information_schema};
use crate::error::{Error, Kind};
use crate::planning::{CATALOG, versions};
use crate::system::SystemTables;

/// Schemas and tables of one data directory, the `system` schema, and `information_schema` over both.
///
/// `information_schema` is served here so that one table whose files are gone doesn't take the whole schema with it;
/// DataFusion's own takes precedence unless `datafusion.catalog.information_schema` is false.
#[derive(Clone)]
pub struct LakeCatalog {
    parts: Arc<Parts>,
    system: Arc<SystemTables>,
}

struct Parts {
    catalog: Arc<Catalog>,
    lake: Lake,
    state: SessionState,
}

impl LakeCatalog {
    /// `runtime_env`: where the tables' object stores are registered.
    pub fn new(catalog: Arc<Catalog>, lake: Lake, system: SystemTables, runtime_env: Arc<RuntimeEnv>) -> LakeCatalog {
        let state = SessionStateBuilder::new()
            .with_config(open_config())
            .with_runtime_env(runtime_env)
            .with_file_formats(SessionStateDefaults::default_file_formats())
            .build();
        LakeCatalog { parts: Arc::new(Parts { catalog, lake, state }), system: Arc::new(system) }
    }

    /// Opens a table that the catalog may not hold. `name`: as it is named, with its version.
    pub(crate) async fn open(&self, table: &TableEntry, name: &str) -> Result<Arc<dyn TableProvider>> {
        self.parts.open(table, versions::split(name).1).await
    }

    /// What a table's own log, or the catalog, says about its columns. A table that can't be opened says nothing.
    pub(crate) async fn column_comments(&self, table: &TableEntry) -> BTreeMap<String, String> {
        if table.kind.format() == Format::Delta {
            let snapshot = self.parts.lake.open(&table.location).await;
            return snapshot.map(|snapshot| snapshot.column_comments()).unwrap_or_default();
        }
        self.noted_comments(table.oid)
    }

    /// What the catalog says about the columns of a view, or of other things that have no log.
    pub(crate) fn noted_comments(&self, oid: u32) -> BTreeMap<String, String> {
        let snapshot = self.parts.catalog.snapshot();
        let noted = snapshot.comments.range((oid, String::new())..=(oid, char::MAX.to_string()));
        noted.map(|((_, column), comment)| (column.clone(), comment.clone())).collect()
    }

    fn user_schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let known = self.parts.catalog.snapshot().schemas.contains_key(name);
        known.then(|| -> Arc<dyn SchemaProvider> {
            Arc::new(LakeSchema { parts: Arc::clone(&self.parts), name: name.to_owned() })
        })
    }
}

#[async_trait]
impl information_schema::Comments for LakeCatalog {
    async fn of_columns(&self, schema: &str, table: &str) -> BTreeMap<String, String> {
        let snapshot = self.parts.catalog.snapshot();
        match snapshot.relation(schema, table) {
            Some(Relation::Table(table)) => self.column_comments(table).await,
            Some(Relation::View(view)) => self.noted_comments(view.oid),
            None => BTreeMap::new(),
        }
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let snapshot = self.parts.catalog.snapshot();
        snapshot.schemas.keys().cloned().chain([SystemTables::SCHEMA.to_owned()]).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            SystemTables::SCHEMA => Some(Arc::clone(&self.system) as Arc<dyn SchemaProvider>),
            information_schema::NAME => {
                Some(information_schema::over(Arc::new(self.clone()), CATALOG, Arc::new(self.clone())))
            }
            _ if RESERVED_SCHEMAS.contains(&name) => None,
            _ => self.user_schema(name),
        }
    }
}

/// What clients and Delta hold as plain strings isn't opened as anything else.
fn open_config() -> SessionConfig {
    let mut config = SessionConfig::new().with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA);
    config.options_mut().execution.parquet.schema_force_view_types = false;
    config
}

/// One schema of users.
struct LakeSchema {
    parts: Arc<Parts>,
    name: String,
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let snapshot = self.parts.catalog.snapshot();
        let names = |schema: &super::SchemaEntry| schema.tables.keys().chain(schema.views.keys()).cloned().collect();
        snapshot.schemas.get(&self.name).map_or_else(Vec::new, names)
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let snapshot = self.parts.catalog.snapshot();
        let (name, at) = versions::split(name);
        match snapshot.table(&self.name, name) {
            Some(table) => self.parts.open(table, at).await.map(Some),
            // A view takes a session to plan it, which knows it before it asks here.
            None => Ok(None),
        }
    }

    /// Answered without opening the table.
    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let snapshot = self.parts.catalog.snapshot();
        Ok(snapshot.relation(&self.name, name).map(|relation| match relation {
            Relation::Table(_) => TableType::Base,
            Relation::View(_) => TableType::View,
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        let (name, _) = versions::split(name);
        self.parts.catalog.snapshot().relation(&self.name, name).is_some()
    }
}

impl Parts {
    async fn open(&self, table: &TableEntry, at: At) -> Result<Arc<dyn TableProvider>> {
        let delta = table.kind.format() == Format::Delta;
        if at != At::Newest && !delta {
            let error = Error::new(Kind::WrongObjectType, format!("table \"{}\" has no versions", table.name))
                .with_detail(format!(
                    "It reads {} files; versions are those of a Delta table.",
                    format_name(table.kind.format())
                ));
            return Err(error.into());
        }
        let opened = match table.kind {
            _ if delta && at != At::Newest => self.at(&table.location, at).await,
            TableKind::Managed | TableKind::Located => self.at(&table.location, At::Newest).await,
            TableKind::External(format) => {
                let columns = table.columns.clone();
                self.lake.external(format, &table.location, columns, &table.options, &self.state).await
            }
        };
        opened.map_err(|error| DataFusionError::from(Error::from(error)))
    }

    async fn at(&self, location: &Url, at: At) -> alluvia_lake::Result<Arc<dyn TableProvider>> {
        self.lake.open_at(location, at).await?.provider(&self.state)
    }
}

impl fmt::Debug for LakeCatalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LakeCatalog").field("catalog", &self.parts.catalog).finish_non_exhaustive()
    }
}

impl fmt::Debug for LakeSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LakeSchema").field("name", &self.name).finish_non_exhaustive()
    }
}
