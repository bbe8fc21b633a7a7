//! The catalog's content at one version, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::{Attachment, ModelEntry, SchemaEntry, SecretEntry, TableEntry, ViewEntry};

#[derive(Clone, Debug, Default)]
pub struct CatalogSnapshot {
    /// Grows by one with each committed change, across restarts.
    pub version: u64,
    pub schemas: BTreeMap<String, SchemaEntry>,
    pub models: BTreeMap<String, Arc<ModelEntry>>,
    pub secrets: BTreeMap<String, Arc<SecretEntry>>,
    pub attachments: BTreeMap<String, Attachment>,
    /// By OID and column; the column is empty for the thing itself.
    pub comments: BTreeMap<(u32, String), String>,
}

/// What a name in a schema stands for.
#[derive(Clone, Copy, Debug)]
pub enum Relation<'a> {
    Table(&'a TableEntry),
    View(&'a Arc<ViewEntry>),
}

impl Relation<'_> {
    pub fn oid(self) -> u32 {
        match self {
            Relation::Table(table) => table.oid,
            Relation::View(view) => view.oid,
        }
    }

    pub fn schema(&self) -> &str {
        match self {
            Relation::Table(table) => &table.schema,
            Relation::View(view) => &view.schema,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Relation::Table(table) => &table.name,
            Relation::View(view) => &view.name,
        }
    }

    pub fn kind(self) -> &'static str {
        match self {
            Relation::Table(_) => "table",
            Relation::View(_) => "view",
        }
    }
}

impl CatalogSnapshot {
    pub fn table(&self, schema: &str, name: &str) -> Option<&TableEntry> {
        self.schemas.get(schema)?.tables.get(name)
    }

    pub fn tables(&self) -> impl Iterator<Item = &TableEntry> {
        self.schemas.values().flat_map(|schema| schema.tables.values())
    }

    pub fn view(&self, schema: &str, name: &str) -> Option<&Arc<ViewEntry>> {
        self.schemas.get(schema)?.views.get(name)
    }

    pub fn views(&self) -> impl Iterator<Item = &Arc<ViewEntry>> {
        self.schemas.values().flat_map(|schema| schema.views.values())
    }

    pub fn relation(&self, schema: &str, name: &str) -> Option<Relation<'_>> {
        let table = self.table(schema, name).map(Relation::Table);
        table.or_else(|| self.view(schema, name).map(Relation::View))
    }

    pub fn relation_of(&self, oid: u32) -> Option<Relation<'_>> {
        let table = self.tables().find(|table| table.oid == oid).map(Relation::Table);
        table.or_else(|| self.views().find(|view| view.oid == oid).map(Relation::View))
    }

    pub fn comment(&self, oid: u32, column: &str) -> Option<&str> {
        // Almost always there are few: no key is built then.
        if self.comments.is_empty() {
            return None;
        }
        self.comments.get(&(oid, column.to_owned())).map(String::as_str)
    }

    /// The views that use any of `oids`, those that use them in turn included, in the order of their OIDs.
    pub(super) fn dependents(&self, oids: &[u32]) -> Vec<Arc<ViewEntry>> {
        let mut found: BTreeMap<u32, Arc<ViewEntry>> = BTreeMap::new();
        let mut used: Vec<u32> = oids.to_vec();
        while let Some(oid) = used.pop() {
            for view in self.views().filter(|view| view.uses.contains(oid)) {
                if !oids.contains(&view.oid) && found.insert(view.oid, Arc::clone(view)).is_none() {
                    used.push(view.oid);
                }
            }
        }
        found.into_values().collect()
    }

    pub fn model(&self, name: &str) -> Option<&Arc<ModelEntry>> {
        self.models.get(name)
    }

    /// Whether a model other than `except` has these files.
    pub(super) fn names_model_files(&self, sha256: &str, except: &str) -> bool {
        self.models.values().any(|model| model.sha256 == sha256 && model.name != except)
    }
}
