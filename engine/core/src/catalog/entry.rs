//! What the catalog holds: schemas, tables, models, and the requests that make them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alluvia_inference::{ModelOptions, ModelSpec};
use alluvia_lake::{Format, StoreKind};
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

/// The schema every database starts with.
pub const DEFAULT_SCHEMA: &str = "public";

/// Schemas that the engine itself fills; nobody creates, drops or writes in them.
pub const RESERVED_SCHEMAS: &[&str] = &["system", "information_schema", "pg_catalog"];

/// Length of the longest name in bytes, of schemas, tables and models.
pub(super) const NAME_BYTES_MAX: usize = 128;

#[derive(Clone, Debug, PartialEq)]
pub struct SchemaEntry {
    pub oid: u32,
    pub name: String,
    pub tables: BTreeMap<String, TableEntry>,
    /// No view has the name of a table.
    pub views: BTreeMap<String, Arc<ViewEntry>>,
}

impl SchemaEntry {
    pub(super) fn new(oid: u32, name: String) -> SchemaEntry {
        SchemaEntry { oid, name, tables: BTreeMap::new(), views: BTreeMap::new() }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct TableEntry {
    /// Never reused, kept when the table is replaced, and above those of PostgreSQL's own catalogs (16383 and below).
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub kind: TableKind,
    pub location: Url,
    /// Reader options of an external table. They may carry credentials: never shown.
    pub options: BTreeMap<String, String>,
    /// Columns declared with an external table whose files don't tell their types.
    pub columns: Option<SchemaRef>,
}

/// Who owns a table's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// A Delta table in the data directory: its files go when the table is dropped.
    Managed,
    /// A Delta table that we made and write, at a LOCATION of the user's: its files stay.
    Located,
    /// Somebody else's files, read only.
    External(Format),
}

impl TableKind {
    pub fn name(self) -> &'static str {
        match self {
            TableKind::Managed => "managed",
            TableKind::Located => "located",
            TableKind::External(_) => "external",
        }
    }

    pub fn format(self) -> Format {
        match self {
            TableKind::Managed | TableKind::Located => Format::Delta,
            TableKind::External(format) => format,
        }
    }

    /// Inverse of [`TableKind::name`] and [`format_name`].
    pub(super) fn parse(kind: &str, format: &str) -> Option<TableKind> {
        match kind {
            "managed" => Some(TableKind::Managed),
            "located" => Some(TableKind::Located),
            "external" => Format::of(format).map(TableKind::External),
            _ => None,
        }
    }
}

pub fn format_name(format: Format) -> &'static str {
    format.name()
}

/// A query with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewEntry {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// SQL without stars: the view's columns are what they were when it was made.
    pub query: String,
    /// Names and types of its columns.
    pub columns: SchemaRef,
    pub uses: ViewUses,
}

impl ViewEntry {
    /// Whether its query names a relation of this schema.
    pub(crate) fn names(&self, schema: &str) -> bool {
        self.uses.relations.iter().any(|used| used.schema.as_deref() == Some(schema))
    }
}

/// What a view is made of. Its relations are kept by their OIDs: a view goes on using the table it was made from when that
/// is renamed, or when another of the name turns up earlier on the search path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewUses {
    pub relations: Vec<ViewRelation>,
    /// OIDs of models and attachments.
    pub others: BTreeSet<u32>,
}

/// A table or view as a view's query names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRelation {
    /// None when the name stands alone.
    pub schema: Option<String>,
    pub name: String,
    pub oid: u32,
}

impl ViewUses {
    pub fn contains(&self, oid: u32) -> bool {
        self.others.contains(&oid) || self.relations.iter().any(|relation| relation.oid == oid)
    }

    pub fn oids(&self) -> impl Iterator<Item = u32> {
        self.others.iter().copied().chain(self.relations.iter().map(|relation| relation.oid))
    }
}

/// A view to be registered.
#[derive(Clone, Debug)]
pub struct NewView {
    pub schema: String,
    pub name: String,
    pub query: String,
    pub columns: SchemaRef,
    pub uses: ViewUses,
    pub or_replace: bool,
}

/// Another lake, read only, under a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub oid: u32,
    pub name: String,
    /// A data directory, or a folder of Delta tables.
    pub location: Url,
}

/// A table to be registered.
#[derive(Clone, Debug)]
pub struct NewTable {
    pub schema: String,
    pub name: String,
    pub kind: TableKind,
    /// Of a managed table: what [`super::Catalog::reserve_table_folder`] answered.
    pub location: Url,
    pub options: BTreeMap<String, String>,
    pub columns: Option<SchemaRef>,
    pub or_replace: bool,
}

/// A table as registered, and the one that had its name before.
#[derive(Clone, Debug)]
pub struct Registered {
    pub entry: TableEntry,
    pub replaced: Option<TableEntry>,
}

#[derive(Clone, Debug)]
pub struct ModelEntry {
    pub oid: u32,
    pub name: String,
    /// SHA-256 of the model's files in hexadecimal: the name of its folder in the model store.
    pub sha256: String,
    /// Where the model was imported from, as the user wrote it.
    pub source: String,
    pub options: ModelOptions,
    pub spec: ModelSpec,
    pub owner: String,
    pub created_at: DateTime<Utc>,
}

/// A model to be registered; its files lie in the model store already.
#[derive(Clone, Debug)]
pub struct NewModel {
    pub name: String,
    pub sha256: String,
    pub source: String,
    pub options: ModelOptions,
    pub spec: ModelSpec,
    pub owner: String,
}

impl NewModel {
    /// The entry as it would be, to open the model before it has a name.
    pub(crate) fn unregistered(self) -> Arc<ModelEntry> {
        self.into_entry(0, DateTime::UNIX_EPOCH)
    }

    pub(super) fn into_entry(self, oid: u32, created_at: DateTime<Utc>) -> Arc<ModelEntry> {
        Arc::new(ModelEntry {
            oid,
            name: self.name,
            sha256: self.sha256,
            source: self.source,
            options: self.options,
            spec: self.spec,
            owner: self.owner,
            created_at,
        })
    }
}

/// A secret that is to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSecret {
    pub name: String,
    pub kind: StoreKind,
    /// The beginning of the URLs that it opens; empty for all of its kind.
    pub scope: String,
    /// The options as they may be seen.
    pub shown: BTreeMap<String, String>,
    /// All of them, encrypted.
    pub sealed: Vec<u8>,
    pub owner: String,
}

/// Credentials of an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretEntry {
    pub name: String,
    /// Another one after each change.
    pub version: u64,
    pub kind: StoreKind,
    pub scope: String,
    pub shown: BTreeMap<String, String>,
    pub sealed: Vec<u8>,
    pub owner: String,
    pub created_at: DateTime<Utc>,
}
