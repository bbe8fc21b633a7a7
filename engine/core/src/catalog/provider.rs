//! The catalog as DataFusion sees it: names from the newest snapshot, each table opened afresh whenever it is named.

use std::fmt;
use std::sync::Arc;

use alluvia_lake::Lake;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::TableType;
use datafusion::prelude::SessionConfig;

use super::entry::{DEFAULT_SCHEMA, RESERVED_SCHEMAS, TableEntry, TableKind};
use super::{Catalog, information_schema};
use crate::error::Error;
use crate::planning::CATALOG;
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

    fn user_schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let known = self.parts.catalog.snapshot().schemas.contains_key(name);
        known.then(|| -> Arc<dyn SchemaProvider> {
            Arc::new(LakeSchema { parts: Arc::clone(&self.parts), name: name.to_owned() })
        })
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
            information_schema::NAME => Some(information_schema::over(Arc::new(self.clone()), &self.parts.state)),
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
        snapshot.schemas.get(&self.name).map_or_else(Vec::new, |schema| schema.tables.keys().cloned().collect())
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let snapshot = self.parts.catalog.snapshot();
        match snapshot.table(&self.name, name) {
            Some(table) => self.parts.open(table).await.map(Some),
            None => Ok(None),
        }
    }

    /// Answered without opening the table.
    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.parts.catalog.snapshot().table(&self.name, name).is_some()
    }
}

impl Parts {
    async fn open(&self, table: &TableEntry) -> Result<Arc<dyn TableProvider>> {
        let opened = match table.kind {
            TableKind::Managed | TableKind::Located => match self.lake.open(&table.location).await {
                Ok(snapshot) => snapshot.provider(&self.state),
                Err(error) => Err(error),
            },
            TableKind::External(format) => {
                let columns = table.columns.clone();
                self.lake.external(format, &table.location, columns, &table.options, &self.state).await
            }
        };
        opened.map_err(|error| DataFusionError::from(Error::from(error)))
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
