//! What names stand for in a session: its own tables, those of the catalog, views planned anew, other lakes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use parking_lot::Mutex;

use super::overlay::Overlay;
use super::temporary::{TEMPORARY_SCHEMA, Temporary};
use super::versions;
use crate::catalog::information_schema::Comments;
use crate::catalog::{LakeCatalog, ViewEntry, ViewRelation};
use crate::engine::Engine;
use crate::settings::Settings;

/// Shared by all catalogs that a session's statements and views look into.
pub(crate) struct Sources {
    pub engine: Arc<Engine>,
    pub lake: Arc<LakeCatalog>,
    pub overlay: Arc<Overlay>,
    pub temporary: Arc<Temporary>,
    pub settings: Arc<Mutex<Settings>>,
    /// The session's functions and rules without catalogs, with which views are planned. Were there catalogs in it, they
    /// would hold what holds them.
    pub planner: OnceLock<SessionState>,
}

impl Sources {
    /// The view of a name, if it is one.
    pub fn view(&self, schema: &str, name: &str) -> Option<Arc<ViewEntry>> {
        match schema {
            TEMPORARY_SCHEMA => self.temporary.view(name),
            _ => self.engine.catalog.snapshot().view(schema, name).cloned(),
        }
    }

    /// A session's own table; `None` of another schema.
    pub async fn temporary_table(&self, schema: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let (bare, _) = versions::split(name);
        match self.temporary.table(bare).filter(|_| schema == TEMPORARY_SCHEMA) {
            Some(table) => self.lake.open(&table, name).await.map(Some),
            None => Ok(None),
        }
    }

    /// Where a relation is now.
    pub fn locate(&self, oid: u32) -> Option<(String, String)> {
        if let Some(name) = self.temporary.name_of(oid) {
            return Some((TEMPORARY_SCHEMA.to_owned(), name));
        }
        let snapshot = self.engine.catalog.snapshot();
        let relation = snapshot.relation_of(oid)?;
        Some((relation.schema().to_owned(), relation.name().to_owned()))
    }

    /// The OID of a table or view.
    pub fn oid(&self, schema: &str, name: &str) -> Option<u32> {
        let (name, _) = versions::split(name);
        match schema {
            TEMPORARY_SCHEMA => self.temporary.find(name).map(|relation| relation.oid()),
            _ => self.engine.catalog.snapshot().relation(schema, name).map(|relation| relation.oid()),
        }
    }
}

#[async_trait]
impl Comments for Sources {
    async fn of_columns(&self, schema: &str, table: &str) -> BTreeMap<String, String> {
        match self.temporary.table(table).filter(|_| schema == TEMPORARY_SCHEMA) {
            Some(table) => self.lake.column_comments(&table).await,
            None => self.lake.of_columns(schema, table).await,
        }
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").field("temporary", &self.temporary).finish_non_exhaustive()
    }
}

/// Writes down what a query is made of, while it is planned.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub relations: Mutex<Vec<ViewRelation>>,
    /// OIDs of the other lakes.
    pub attachments: Mutex<Vec<u32>>,
    /// Names of tables that only the open transaction has.
    pub unbound: Mutex<Vec<String>>,
}

impl Recorder {
    /// `schema`: as the query names it; none for a bare name.
    pub fn note(&self, schema: Option<&str>, name: &str, oid: u32) {
        let (name, _) = versions::split(name);
        let relation = ViewRelation { schema: schema.map(str::to_owned), name: name.to_owned(), oid };
        let mut relations = self.relations.lock();
        if !relations.contains(&relation) {
            relations.push(relation);
        }
    }
}
