//! The catalog's content at one version, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::{ModelEntry, SchemaEntry, TableEntry};

#[derive(Clone, Debug, Default)]
pub struct CatalogSnapshot {
    /// Grows by one with each committed change, across restarts.
    pub version: u64,
    pub schemas: BTreeMap<String, SchemaEntry>,
    pub models: BTreeMap<String, Arc<ModelEntry>>,
}

impl CatalogSnapshot {
    pub fn table(&self, schema: &str, name: &str) -> Option<&TableEntry> {
        self.schemas.get(schema)?.tables.get(name)
    }

    pub fn tables(&self) -> impl Iterator<Item = &TableEntry> {
        self.schemas.values().flat_map(|schema| schema.tables.values())
    }

    pub fn model(&self, name: &str) -> Option<&Arc<ModelEntry>> {
        self.models.get(name)
    }

    /// Whether a model other than `except` has these files.
    pub(super) fn names_model_files(&self, sha256: &str, except: &str) -> bool {
        self.models.values().any(|model| model.sha256 == sha256 && model.name != except)
    }
}
