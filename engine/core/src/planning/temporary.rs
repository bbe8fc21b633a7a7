//! Tables and views that live as long as their session, in a schema of its own which stands before the search path.
//!
//! A temporary table is a Delta table in the data directory that stays on the list of unfinished folders: whatever becomes
//! of the process, the next start finds it there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::catalog::{TableEntry, ViewEntry};

/// The schema's name, which no other can have.
pub(crate) const TEMPORARY_SCHEMA: &str = "pg_temp";

/// One thing of the schema.
#[derive(Clone, Debug)]
pub(crate) enum TemporaryRelation {
    Table(Box<TableEntry>),
    View(Arc<ViewEntry>),
}

impl TemporaryRelation {
    pub fn oid(&self) -> u32 {
        match self {
            TemporaryRelation::Table(table) => table.oid,
            TemporaryRelation::View(view) => view.oid,
        }
    }
}

/// A session's own tables and views, by name.
pub(crate) struct Temporary {
    relations: RwLock<BTreeMap<String, TemporaryRelation>>,
    /// They come from the far end, where those of the catalog won't arrive.
    oids: AtomicU32,
    /// Names that the open transaction block has given, which ROLLBACK takes back.
    given_in_block: Mutex<Vec<String>>,
}

impl Default for Temporary {
    fn default() -> Self {
        Self { relations: RwLock::default(), oids: AtomicU32::new(u32::MAX), given_in_block: Mutex::default() }
    }
}

impl Temporary {
    pub fn is_empty(&self) -> bool {
        self.relations.read().is_empty()
    }

    pub fn find(&self, name: &str) -> Option<TemporaryRelation> {
        let relations = self.relations.read();
        if relations.is_empty() { None } else { relations.get(name).cloned() }
    }

    pub fn table(&self, name: &str) -> Option<TableEntry> {
        match self.find(name)? {
            TemporaryRelation::Table(table) => Some(*table),
            TemporaryRelation::View(_) => None,
        }
    }

    pub fn view(&self, name: &str) -> Option<Arc<ViewEntry>> {
        match self.find(name)? {
            TemporaryRelation::View(view) => Some(view),
            TemporaryRelation::Table(_) => None,
        }
    }

    pub fn name_of(&self, oid: u32) -> Option<String> {
        let relations = self.relations.read();
        relations.iter().find(|(_, relation)| relation.oid() == oid).map(|(name, _)| name.clone())
    }

    pub fn names(&self) -> Vec<String> {
        self.relations.read().keys().cloned().collect()
    }

    pub fn next_oid(&self) -> u32 {
        self.oids.fetch_sub(1, Ordering::Relaxed)
    }

    /// Answers with what had the name before.
    pub fn put(&self, name: &str, relation: TemporaryRelation) -> Option<TemporaryRelation> {
        self.relations.write().insert(name.to_owned(), relation)
    }

    pub fn remove(&self, name: &str) -> Option<TemporaryRelation> {
        self.relations.write().remove(name)
    }

    /// What a name was given to in a block goes when that is rolled back.
    pub fn note_in_block(&self, name: &str) {
        self.given_in_block.lock().push(name.to_owned());
    }

    pub fn is_of_block(&self, name: &str) -> bool {
        self.given_in_block.lock().iter().any(|given| given == name)
    }

    /// The block is over: answers with the tables that went with it.
    pub fn end_block(&self, committed: bool) -> Vec<TableEntry> {
        let names = std::mem::take(&mut *self.given_in_block.lock());
        if committed {
            return vec![];
        }
        let table = |name: String| match self.remove(&name) {
            Some(TemporaryRelation::Table(table)) => Some(*table),
            _ => None,
        };
        names.into_iter().filter_map(table).collect()
    }

    /// Names of the views that use any of `oids`, directly or through others.
    pub fn dependents(&self, oids: &[u32]) -> Vec<String> {
        let relations = self.relations.read();
        let mut used = oids.to_vec();
        let mut names: Vec<String> = vec![];
        while let Some(oid) = used.pop() {
            for (name, relation) in relations.iter() {
                if let TemporaryRelation::View(view) = relation
                    && view.uses.contains(oid)
                    && !names.contains(name)
                {
                    names.push(name.clone());
                    used.push(view.oid);
                }
            }
        }
        names
    }

    /// Empties the schema, and answers with its tables.
    pub fn take_tables(&self) -> Vec<TableEntry> {
        let relations = std::mem::take(&mut *self.relations.write());
        let table = |relation| match relation {
            TemporaryRelation::Table(table) => Some(*table),
            TemporaryRelation::View(_) => None,
        };
        relations.into_values().filter_map(table).collect()
    }
}

impl fmt::Debug for Temporary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.relations.read().keys()).finish()
    }
}
