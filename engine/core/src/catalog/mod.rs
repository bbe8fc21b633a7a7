//! Metadata that changes atomically: schemas, tables and models, in SQLite under the data directory.
//!
//! Readers take an immutable [`CatalogSnapshot`] from memory; each change runs in one transaction, one after the other,
//! and replaces the snapshot only once it is on disk.

/// What the catalog holds.
mod entry;
/// Its content at one version, in memory.
mod snapshot;
/// Its changes, each a struct.
mod changes;
/// Its rows in SQLite.
pub(crate) mod store;
/// SQLite's tables, step by step.
mod migrations;
/// One process per data directory.
mod lock;
/// Folders of tables and models, and what an interrupted process left of them.
mod folders;
/// The catalog as DataFusion sees it.
mod provider;
/// `information_schema`, whatever tables can be opened.
pub(crate) mod information_schema;

pub use changes::Dropped;
pub use entry::{Attachment, NewView, ViewEntry, ViewRelation, ViewUses};
pub use entry::{DEFAULT_SCHEMA, RESERVED_SCHEMAS, format_name};
pub use entry::{ModelEntry, NewModel, NewTable, Registered, SchemaEntry, TableEntry, TableKind};
pub(crate) use entry::{NewSecret, SecretEntry};
pub(crate) use folders::STAGING_PREFIX;
pub use provider::LakeCatalog;
pub use snapshot::{CatalogSnapshot, Relation};

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use sqlx::SqliteConnection;
use tokio::sync::Mutex;

use crate::error::{Error, Result};
use changes::{
    Attach, Change, CreateSchema, Detach, Draft, DropModel, DropRelations, DropSchemas, DropSecret, PutModel,
    PutSecret, PutTable, PutView, RenameRelation, RenameSchema, SetComment,
};
use lock::DataDirLock;

/// The one writer of a data directory's catalog.
pub struct Catalog {
    inner: Arc<Inner>,
}

struct Inner {
    data_dir: PathBuf,
    snapshot: RwLock<Arc<CatalogSnapshot>>,
    writer: Mutex<SqliteConnection>,
    /// Held for as long as the catalog lives; the operating system releases it when the process dies.
    _lock: DataDirLock,
}

impl Catalog {
    /// Opens `<data_dir>/catalog.sqlite`, creating folder and file where they are missing.
    ///
    /// Errors: [`crate::Kind::ConfigurationInvalid`] if another process holds the data directory or a newer version of
    /// Alluvia wrote it.
    pub async fn open(data_dir: &Path) -> Result<Catalog> {
        let data_dir = store::prepare_data_dir(data_dir)?;
        let lock = DataDirLock::acquire(&data_dir)?;
        let mut writer = store::open(&data_dir.join("catalog.sqlite")).await?;
        let snapshot = store::load(&mut writer, &data_dir).await?;
        let inner =
            Inner { data_dir, snapshot: RwLock::new(Arc::new(snapshot)), writer: Mutex::new(writer), _lock: lock };
        Ok(Catalog { inner: Arc::new(inner) })
    }

    /// The metadata as of the newest committed change.
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.inner.snapshot.read())
    }

    /// Absolute path of the data directory.
    pub fn data_dir(&self) -> &Path {
        &self.inner.data_dir
    }

    /// Errors: [`crate::Kind::DuplicateSchema`].
    pub async fn create_schema(&self, name: &str) -> Result<()> {
        self.change(CreateSchema { name: name.to_owned() }).await
    }

    /// Drops schemas, all or none, and answers with what went with them.
    ///
    /// Errors: [`crate::Kind::UndefinedSchema`]; [`crate::Kind::DependentObjectsExist`] if one holds tables or views,
    /// or another's view uses what it holds, and `cascade` is false.
    pub async fn drop_schemas(&self, names: &[String], cascade: bool) -> Result<Dropped> {
        self.change(DropSchemas { names: names.to_vec(), cascade }).await
    }

    /// As [`Catalog::drop_schemas`] for one; the caller hands each table to [`Catalog::discard`].
    pub async fn drop_schema(&self, name: &str, cascade: bool) -> Result<Vec<TableEntry>> {
        Ok(self.drop_schemas(&[name.to_owned()], cascade).await?.tables)
    }

    /// Errors: [`crate::Kind::UndefinedSchema`], [`crate::Kind::DuplicateSchema`].
    pub async fn rename_schema(&self, name: &str, to: &str) -> Result<()> {
        self.change(RenameSchema { name: name.to_owned(), to: to.to_owned() }).await
    }

    /// Makes a table visible under its name.
    ///
    /// Errors: [`crate::Kind::DuplicateTable`] unless `or_replace`; [`crate::Kind::UndefinedSchema`].
    pub async fn register_table(&self, table: NewTable) -> Result<TableEntry> {
        Ok(self.put_table(table).await?.entry)
    }

    /// As [`Catalog::register_table`]; also answers with the table that was replaced, for [`Catalog::discard`].
    pub async fn put_table(&self, table: NewTable) -> Result<Registered> {
        self.change(PutTable { table }).await
    }

    /// Takes a table out of the catalog; the caller hands the entry to [`Catalog::discard`].
    ///
    /// Errors: [`crate::Kind::UndefinedTable`]; [`crate::Kind::DependentObjectsExist`].
    pub async fn drop_table(&self, schema: &str, name: &str) -> Result<TableEntry> {
        let dropped = self.drop_relations("table", &[(schema.to_owned(), name.to_owned())], false).await?;
        dropped.tables.into_iter().next().ok_or_else(|| Error::internal("a dropped table is missing"))
    }

    /// Takes tables (`kind` "table") or views ("view") by schema and name, all or none; with `cascade` also the views
    /// that use them.
    ///
    /// Errors: [`crate::Kind::UndefinedTable`]; [`crate::Kind::WrongObjectType`];
    /// [`crate::Kind::DependentObjectsExist`] if views use them and `cascade` is false.
    pub async fn drop_relations(
        &self,
        kind: &'static str,
        names: &[(String, String)],
        cascade: bool,
    ) -> Result<Dropped> {
        self.change(DropRelations { kind, names: names.to_vec(), cascade }).await
    }

    /// Gives a table or view another name, or puts it in another schema. What uses it goes on doing so.
    ///
    /// Errors: [`crate::Kind::UndefinedTable`], [`crate::Kind::DuplicateTable`], [`crate::Kind::UndefinedSchema`].
    pub async fn rename_relation(&self, from: (&str, &str), to: (&str, &str)) -> Result<()> {
        let owned = |(schema, name): (&str, &str)| (schema.to_owned(), name.to_owned());
        self.change(RenameRelation { from: owned(from), to: owned(to) }).await
    }

    /// Errors: [`crate::Kind::DuplicateTable`] unless `or_replace`; [`crate::Kind::InvalidTableDefinition`] if columns
    /// of the view that is replaced are lost or changed.
    pub async fn put_view(&self, view: NewView) -> Result<Arc<ViewEntry>> {
        self.change(PutView { view }).await
    }

    /// Says something about what has this OID, or about a column of it; `None` takes it back.
    pub async fn set_comment(&self, oid: u32, column: &str, comment: Option<&str>) -> Result<()> {
        let comment = comment.map(str::to_owned);
        self.change(SetComment { oid, column: column.to_owned(), comment }).await
    }

    /// Errors: [`crate::Kind::DuplicateObject`].
    pub async fn attach(&self, name: &str, location: &url::Url) -> Result<()> {
        self.change(Attach { name: name.to_owned(), location: location.clone() }).await
    }

    /// Errors: [`crate::Kind::UndefinedObject`]; [`crate::Kind::DependentObjectsExist`] if a view uses it.
    pub async fn detach(&self, name: &str) -> Result<()> {
        self.change(Detach { name: name.to_owned() }).await
    }

    /// Errors: [`crate::Kind::DuplicateObject`] unless `replace`. A replaced model keeps its OID.
    pub async fn put_model(&self, model: NewModel, replace: bool) -> Result<Arc<ModelEntry>> {
        self.change(PutModel { model, replace }).await
    }

    /// The errors that [`Catalog::put_model`] would end with now, before any work is done for the model.
    pub(crate) fn check_new_model(&self, name: &str, replace: bool) -> Result<()> {
        changes::check_new_model(&self.snapshot(), name, replace)
    }

    /// Errors: [`crate::Kind::UndefinedObject`].
    pub async fn drop_model(&self, name: &str) -> Result<Arc<ModelEntry>> {
        self.change(DropModel { name: name.to_owned() }).await
    }

    /// Errors: [`crate::Kind::DuplicateObject`] unless `replace`, and of a scope that another secret has.
    pub(crate) async fn put_secret(&self, secret: NewSecret, replace: bool) -> Result<()> {
        self.change(PutSecret { secret, replace }).await
    }

    /// Errors: [`crate::Kind::UndefinedObject`].
    pub(crate) async fn drop_secret(&self, name: &str) -> Result<()> {
        self.change(DropSecret { name: name.to_owned() }).await
    }

    /// Runs one change in one transaction. The change runs in a task of its own, so that a caller who goes away in the
    /// middle can't leave the snapshot behind what was committed.
    async fn change<C: Change>(&self, change: C) -> Result<C::Output> {
        let inner = Arc::clone(&self.inner);
        let task = tokio::spawn(async move { inner.commit(change).await });
        task.await.map_err(|error| Error::internal(format!("catalog change ended early: {error}")))?
    }
}

impl Inner {
    async fn commit<C: Change>(&self, change: C) -> Result<C::Output> {
        let mut writer = self.writer.lock().await;
        let mut snapshot = CatalogSnapshot::clone(&self.snapshot.read());
        let mut transaction = store::begin(&mut writer).await?;
        // Dropping the transaction on an error rolls it back.
        let mut draft = Draft { connection: &mut transaction, snapshot: &mut snapshot, data_dir: &self.data_dir };
        let output = change.apply(&mut draft).await?;
        snapshot.version = store::advance_version(&mut transaction).await?;
        if let Err(error) = transaction.commit().await {
            // The disk knows better than this process whether the commit happened.
            let actual = store::load(&mut writer, &self.data_dir).await?;
            *self.snapshot.write() = Arc::new(actual);
            return Err(store::error(error));
        }
        *self.snapshot.write() = Arc::new(snapshot);
        Ok(output)
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Catalog")
            .field("data_dir", &self.inner.data_dir)
            .field("version", &self.snapshot().version)
            .finish()
    }
}

#[cfg(test)]
mod tests;
