//! The tables of a lake by their locations: created, opened, appended to, removed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use deltalake::kernel::Action;
use deltalake::kernel::transaction::PROTOCOL;
use deltalake::logstore::{LogStoreRef, ObjectStoreRef};
use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::Mutex;
use serde_json::json;
use url::Url;

use crate::change::{ACTION, Change, Changed, INSERTED, Operation, Staged, paths, write_new};
use crate::commit::{self, Entry, Reads};
use crate::definition::{Definition, TableSpec};
use crate::error::{Error, Result};
use crate::external::{self, Format};
use crate::files::{self, Reading};
use crate::history::{At, Commit, Listing};
use crate::location::{self, Recorder};
use crate::opened::Opened;
use crate::rules::Rules;
use crate::snapshot::Snapshot;
use crate::stores::{self, Secrets, Stores};
use crate::writer::Files;

/// Opens and writes Delta tables. Cheap to clone; clones share the list of tables that are being created.
#[derive(Clone, Debug, Default)]
pub struct Lake {
    /// Roots of the tables whose creation is under way here: two must not fill one folder.
    creating: Arc<Mutex<HashSet<Url>>>,
    /// Roots of the tables whose upkeep is under way here; those that nobody holds are forgotten.
    tended: Arc<Mutex<HashMap<Url, Arc<tokio::sync::Mutex<()>>>>>,
    /// Who looks after tables that may want compaction.
    pub(crate) compactions: Arc<Mutex<Option<tokio::sync::mpsc::Sender<Url>>>>,
    pub(crate) stores: Stores,
    opened: Arc<Opened>,
}

/// What a statement has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub rows: u64,
    /// The version that holds the rows; the one that was read, when there were none.
    pub version: u64,
    pub files_added: usize,
}

/// Rows to be added.
pub struct Insertion {
    pub plan: LogicalPlan,
    /// Whether the plan reads the table that it adds to.
    pub reads_table: bool,
    /// Whether the rows are wanted back, as they are stored.
    pub returning: bool,
}

impl Lake {
    pub fn new() -> Lake {
        Lake::default()
    }

    /// A lake that opens object stores with these secrets; without any, environment variables do.
    pub fn with_secrets(secrets: Arc<dyn Secrets>) -> Lake {
        Lake { stores: Stores::new(secrets), ..Lake::default() }
    }

    /// Whether a location can be one of this lake: its scheme is known, and nothing stands in it that doesn't belong.
    ///
    /// # Errors
    /// [`Error::UnsupportedFeature`] of a scheme, [`Error::InvalidDefinition`].
    pub fn check_location(&self, location: &Url) -> Result<()> {
        location::root(location).map(|_| ())
    }

    /// Lets the plans of a session read files at `location`, whatever store they lie in. The URL under which plans
    /// name it, which differs from `location` for containers of Azure.
    pub fn register(&self, location: &Url, session: &SessionState) -> Result<Url> {
        if location::is_local(location) {
            return Ok(location.clone());
        }
        let mut known = stores::canonical(location)?;
        if !location.path().ends_with('/') {
            let path = known.path().trim_end_matches('/').to_owned();
            known.set_path(&path);
        }
        self.stores.register(&known, session)?;
        Ok(known)
    }

    /// The store that a location of an object store lies in, and its path there.
    pub fn store(&self, location: &Url) -> Result<(Arc<dyn ObjectStore>, Path)> {
        self.stores.open(&stores::canonical(location)?)
    }

    /// Whether a table of `spec` could be made and written to: its checks and generation expressions can be evaluated,
    /// depend on nothing but the row, and generated columns don't refer to each other.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`], [`Error::UnsupportedType`]; [`Error::UnsupportedFeature`] of a table property.
    pub fn validate(&self, spec: &TableSpec, session: &SessionState) -> Result<()> {
        let definition = Definition::of(spec)?;
        match Rules::compile(&definition.demands(), &definition.schema, session) {
            Ok(rules) => rules.refuse_volatile(),
            // Of a table that is there already it would be a feature of another engine; here it is a mistake.
            Err(Error::UnsupportedFeature { name }) => {
                Err(Error::InvalidDefinition { message: format!("cannot evaluate {name}") })
            }
            Err(error) => Err(error),
        }
    }

    /// Makes an empty table at a location that doesn't exist yet, or is an empty folder.
    ///
    /// # Errors
    /// [`Error::LocationInUse`], [`Error::InvalidDefinition`], [`Error::UnsupportedType`],
    /// [`Error::UnsupportedFeature`].
    pub async fn create(&self, location: &Url, spec: &TableSpec) -> Result<()> {
        let definition = Definition::of(spec)?;
        let mut claim = self.claim(location)?;
        let log_store = claim.prepare().await?;
        claim.commit(log_store, definition, Files::none()).await?;
        Ok(())
    }

    /// The newest version of the table at `location`, read from its log.
    ///
    /// # Errors
    /// [`Error::NotATable`]; [`Error::UnsupportedFeature`] when the table uses what this engine can't read.
    pub async fn open(&self, location: &Url) -> Result<Snapshot> {
        self.open_at(location, At::Newest).await
    }

    /// A version of the table at `location`.
    ///
    /// # Errors
    /// Those of [`Lake::open`], and [`Error::NoSuchVersion`].
    pub async fn open_at(&self, location: &Url, at: At) -> Result<Snapshot> {
        let root = location::root(location)?;
        let snapshot = match at {
            At::Newest => self.opened.newest(&root, &self.stores).await?,
            At::Version(version) => self.load(root, version).await?,
            At::Timestamp(timestamp_us) => {
                let newest = self.opened.newest(&root, &self.stores).await?;
                let version = history_of(&newest).await?.at(timestamp_us)?;
                if version == newest.version() { newest } else { self.load(root, version).await? }
            }
        };
        PROTOCOL.can_read_from(snapshot.state()).map_err(deltalake::DeltaTableError::from)?;
        Ok(snapshot)
    }

    /// When each version of the table at `location` was committed, by version, as far as the log reaches back.
    ///
    /// # Errors
    /// Those of [`Lake::open`].
    pub async fn commits(&self, location: &Url) -> Result<Vec<Commit>> {
        Ok(history_of(&self.open(location).await?).await?.commits)
    }

    /// Adds the rows of `plan` to the table, in one commit or not at all.
    ///
    /// The plan's columns are matched by name and converted to the table's types; a value that doesn't fit fails the
    /// statement. A generated column that the plan leaves out is computed, one that it has is verified; any other
    /// column that it leaves out is NULL. NOT NULL (nested too), CHECK constraints and invariants hold for each row.
    /// No rows make no commit.
    ///
    /// # Errors
    /// [`Error::NotNullViolation`], [`Error::CheckViolation`], [`Error::GeneratedViolation`], [`Error::CastFailed`];
    /// [`Error::Conflict`] when the table's definition has changed since `snapshot`; [`Error::DataFusion`] with the
    /// plan's own error in its chain.
    pub async fn append(&self, snapshot: &Snapshot, plan: LogicalPlan, session: &SessionState) -> Result<Written> {
        let insertion = Insertion { plan, reads_table: false, returning: false };
        let Changed { version, inserted: rows, files_added, .. } = self.insert(snapshot, insertion, session).await?;
        Ok(Written { rows, version, files_added })
    }

    /// As [`Lake::append`], for rows that may depend on the table's own, or are wanted back.
    ///
    /// # Errors
    /// Those of [`Lake::append`]; [`Error::Conflict`] also when other rows changed on which these depend.
    pub async fn insert(&self, snapshot: &Snapshot, insertion: Insertion, session: &SessionState) -> Result<Changed> {
        let changed = self.stage_insert(snapshot, insertion, session).await?.commit().await?;
        self.committed(snapshot);
        Ok(changed)
    }

    /// Writes the files of [`Lake::insert`], and leaves the commit to the caller.
    ///
    /// # Errors
    /// Those of [`Lake::insert`], but for conflicts.
    pub async fn stage_insert(
        &self,
        snapshot: &Snapshot,
        insertion: Insertion,
        session: &SessionState,
    ) -> Result<Staged> {
        PROTOCOL.can_write_to(snapshot.state()).map_err(deltalake::DeltaTableError::from)?;
        let Insertion { plan, reads_table, returning } = insertion;
        if snapshot.tells_all_changes() {
            let action = lit(ScalarValue::Int8(Some(INSERTED))).alias(ACTION);
            let columns = plan.schema().columns().into_iter().map(Expr::Column).chain([action]);
            let plan = LogicalPlanBuilder::from(plan).project(columns.collect::<Vec<_>>())?.build()?;
            let change = Change { reads_table, returning, ..Change::new(plan, Operation::Append) };
            return self.stage(snapshot, change, session).await;
        }
        let store = snapshot.log_store().object_store(None);
        let property = |key: &str| snapshot.properties().get(key).map(String::as_str);
        let mut files = write_new(plan, session, &snapshot.demands(), store, property, returning).await?;
        let mut staged = Staged::nothing(snapshot, files.affected.take());
        let (inserted, files_added) = (files.rows, files.adds.len());
        if files_added > 0 {
            staged.written = paths(&files);
            let metrics = json!({"numFiles": files_added, "numOutputRows": inserted});
            let actions = files.adds.into_iter().map(Action::Add).collect();
            let reads = if reads_table { Reads::Table } else { Reads::Nothing };
            staged.entry = Some(Entry { actions, operation: Operation::Append.of_log(snapshot), metrics, reads });
            staged.changed = Changed { inserted, files_added, ..staged.changed };
        }
        Ok(staged)
    }

    /// Makes a table that starts with the rows of `plan`. Definition and rows are one commit, version 0: until then
    /// the location holds no table, whatever files lie there. They are cleared away when the statement fails or its
    /// future is dropped; after a kill they stay, and [`Lake::clear_unfinished`] removes them.
    ///
    /// # Errors
    /// Those of [`Lake::create`] and of [`Lake::append`].
    pub async fn create_as(
        &self,
        location: &Url,
        spec: &TableSpec,
        plan: LogicalPlan,
        session: &SessionState,
    ) -> Result<Written> {
        let definition = Definition::of(spec)?;
        let mut claim = self.claim(location)?;
        let log_store = claim.prepare().await?;
        let property = |key: &str| definition.spec.properties.get(key).map(String::as_str);
        let store = claim.store(&log_store);
        let files = match write_new(plan, session, &definition.demands(), store, property, false).await {
            Ok(files) => files,
            Err(error) => {
                claim.give_up().await;
                return Err(error);
            }
        };
        let (rows, files_added) = (files.rows, files.adds.len());
        let version = claim.commit(log_store, definition, files).await?;
        Ok(Written { rows, version, files_added })
    }

    /// Deletes a table and its files. Its log goes first, in one step: what is left of a removal that was cut short
    /// is no table, and a second call finishes it. A location that doesn't exist is fine.
    ///
    /// # Errors
    /// [`Error::NotATable`] when the folder holds something else.
    pub async fn remove(&self, location: &Url) -> Result<()> {
        let root = location::root(location)?;
        self.opened.forget(&root);
        location::remove_table(&root, &self.stores).await
    }

    /// Clears away what a creation left at `location` that was killed before its commit. True when the location is
    /// free now; false when a table is there, or is being created, which stays.
    pub async fn clear_unfinished(&self, location: &Url) -> Result<bool> {
        let root = location::root(location)?;
        if self.creating.lock().contains(&root) {
            return Ok(false);
        }
        location::clear_unfinished(&root, &self.stores).await
    }

    /// A table to scan at a location that this lake doesn't own.
    ///
    /// Files: one, those of a folder, or of a pattern; the schema is inferred when none is given. Delta takes neither
    /// schema nor options.
    pub async fn external(
        &self,
        format: Format,
        location: &Url,
        schema: Option<SchemaRef>,
        options: &BTreeMap<String, String>,
        session: &SessionState,
    ) -> Result<Arc<dyn TableProvider>> {
        match format {
            Format::Delta => {
                external::refuse_options(schema.is_some(), options)?;
                self.open(location).await?.provider(session)
            }
            Format::Parquet | Format::Csv | Format::Json | Format::Arrow => {
                self.files(external::reading(format, location, schema, options), session).await
            }
        }
    }

    /// Writes the rows of `plan` into the file that `path` names, or into a new folder where it ends with a slash or the
    /// rows are parted (`partition_by`, with commas between). Answers how many rows there were. `options` are those of
    /// reading, and `compression` and `row_group_size` of Parquet.
    ///
    /// # Errors
    /// [`Error::LocationInUse`] of a folder that isn't empty; [`Error::InvalidOption`].
    pub async fn export(
        &self,
        plan: LogicalPlan,
        format: Format,
        path: &str,
        options: &BTreeMap<String, String>,
        session: &SessionState,
    ) -> Result<u64> {
        let url = self.register(&files::url(path)?, session)?;
        files::export(plan, format, &url, options, session).await
    }

    /// A table over files that no log lists, as they are now.
    ///
    /// # Errors
    /// [`Error::NoFiles`], [`Error::BrokenFile`], [`Error::InvalidOption`].
    pub async fn files(&self, reading: Reading, session: &SessionState) -> Result<Arc<dyn TableProvider>> {
        for path in &reading.paths {
            let url = files::url(path)?;
            if url.scheme() != "file" {
                self.register(&url, session)?;
            }
        }
        files::open(reading, session).await
    }

    /// One at a time: what brings files back, and what deletes them.
    pub(crate) fn upkeep_of(&self, root: &Url) -> Arc<tokio::sync::Mutex<()>> {
        let mut tended = self.tended.lock();
        tended.retain(|_, lock| Arc::strong_count(lock) > 1);
        tended.entry(root.clone()).or_default().clone()
    }

    /// # Errors
    /// [`Error::NoSuchVersion`] when the log doesn't reach the version.
    async fn load(&self, root: Url, version: u64) -> Result<Snapshot> {
        let log_store = location::existing_table(&root, &self.stores).await?;
        let error = match Snapshot::load(root, log_store.clone(), Some(version)).await {
            Ok(snapshot) => return Ok(snapshot),
            Err(error) => error,
        };
        let listing = Listing::read(&log_store).await?;
        let exists = listing.range().is_some_and(|(oldest, newest)| (oldest..=newest).contains(&version));
        Err(if exists { error } else { listing.refusal(version) })
    }

    pub(crate) fn claim(&self, location: &Url) -> Result<Claim> {
        let root = location::root(location)?;
        if !self.creating.lock().insert(root.clone()) {
            return Err(Error::LocationInUse { location: location::display(&root) });
        }
        Ok(Claim {
            root,
            creating: self.creating.clone(),
            stores: self.stores.clone(),
            recorder: Recorder::default(),
            to_clear: false,
        })
    }
}

async fn history_of(newest: &Snapshot) -> Result<Listing> {
    let mut listing = Listing::read(newest.log_store()).await?;
    listing.read_times(newest.log_store(), newest.properties()).await?;
    Ok(listing)
}

/// The right to fill an empty location. Dropped before its commit, it empties the location again.
pub(crate) struct Claim {
    root: Url,
    creating: Arc<Mutex<HashSet<Url>>>,
    stores: Stores,
    /// Of an object store's folder, which no lock keeps other processes out of.
    recorder: Recorder,
    /// Whether what lies at the location is ours, and no table yet.
    to_clear: bool,
}

impl Claim {
    async fn prepare(&mut self) -> Result<LogStoreRef> {
        let log_store = location::vacant(&self.root, &self.stores).await?;
        self.to_clear = true;
        Ok(log_store)
    }

    /// Where the table's files go.
    fn store(&self, log_store: &LogStoreRef) -> ObjectStoreRef {
        let store = log_store.object_store(None);
        if location::is_local(&self.root) { store } else { self.recorder.over(store) }
    }

    /// Once the commit is under way, dropping the future leaves the location alone: the entry may still land.
    async fn commit(&mut self, log_store: LogStoreRef, definition: Definition, files: Files) -> Result<u64> {
        self.to_clear = false;
        let committed = commit::create(log_store, &self.root, definition, files).await;
        // Files that an entry names which may have landed stay.
        if committed.as_ref().is_err_and(|error| !error.in_doubt()) {
            self.give_up().await;
        }
        committed
    }

    async fn give_up(&mut self) {
        self.to_clear = false;
        clear(&self.root, &self.stores, &self.recorder).await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (root, creating) = (self.root.clone(), self.creating.clone());
        let (stores, recorder) = (self.stores.clone(), self.recorder.clone());
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if self.to_clear => {
                runtime.spawn(async move {
                    clear(&root, &stores, &recorder).await;
                    creating.lock().remove(&root);
                });
            }
            _ => {
                creating.lock().remove(&root);
            }
        }
    }
}

async fn clear(root: &Url, stores: &Stores, recorder: &Recorder) {
    let cleared = match location::is_local(root) {
        true => location::clear_unfinished(root, stores).await.map(|_| ()),
        false => match stores.log_store(root) {
            Ok(log_store) => recorder.clear(&log_store.object_store(None)).await,
            Err(error) => Err(error),
        },
    };
    if let Err(error) = cleared {
        tracing::warn!(location = %root, %error, "could not clear away an unfinished table");
    }
}
