//! The newest snapshot of each table that was opened lately, brought up to date before it is handed out.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use datafusion::object_store::{self, ObjectMeta, ObjectStoreExt};
use deltalake::kernel::EagerSnapshot;
use deltalake::logstore::LogStoreRef;
use deltalake::table::state::DeltaTableState;
use parking_lot::Mutex;
use url::Url;

use crate::error::Result;
use crate::location;
use crate::snapshot::Snapshot;
use crate::stores::Stores;

const TABLES_MAX: usize = 64;
/// Files of all tables that are kept; what the log says of one is some hundred bytes.
const FILES_MAX: usize = 1_000_000;

/// How far a store's clock and ours may be apart.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
const CLOCK_SKEW_LOCAL: Duration = Duration::from_secs(2);

/// Snapshots by location.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tables: HashMap<Url, Table>,
    uses: u64,
}

#[derive(Debug)]
struct Table {
    snapshot: Snapshot,
    /// The newest log entry, as the store describes it: another table at this place has another one.
    entry: Entry,
    files: usize,
    used: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    e_tag: Option<String>,
    modified_ms: i64,
    bytes: u64,
}

impl Opened {
    /// The table's newest version. Reads the log from where it was left; from its start when the table isn't known,
    /// or is no longer the one that was known.
    pub async fn newest(&self, root: &Url, stores: &Stores) -> Result<Snapshot> {
        if let Some((snapshot, entry)) = self.known(root) {
            match self.refreshed(&snapshot, &entry).await {
                Some((newer, newer_entry)) => {
                    if newer.version() != snapshot.version() {
                        self.keep(root, &newer, newer_entry);
                    }
                    return Ok(newer);
                }
                None => self.forget(root),
            }
        }
        let started = SystemTime::now();
        let snapshot = Snapshot::newest(root.clone(), location::existing_table(root, stores).await?).await?;
        if let Some(entry) = entry_of(&snapshot, started).await {
            self.keep(root, &snapshot, entry);
        }
        Ok(snapshot)
    }

    pub fn forget(&self, root: &Url) {
        self.state.lock().tables.remove(root);
    }

    fn known(&self, root: &Url) -> Option<(Snapshot, Entry)> {
        let mut state = self.state.lock();
        state.uses += 1;
        let uses = state.uses;
        let table = state.tables.get_mut(root)?;
        table.used = uses;
        Some((table.snapshot.clone(), table.entry.clone()))
    }

    fn keep(&self, root: &Url, snapshot: &Snapshot, entry: Entry) {
        let files = snapshot.state().log_data().num_files();
        let mut state = self.state.lock();
        state.uses += 1;
        let used = state.uses;
        let newer = state.tables.get(root).is_some_and(|table| {
            table.snapshot.version() > snapshot.version() && table.entry.modified_ms >= entry.modified_ms
        });
        if newer || files > FILES_MAX {
            return;
        }
        state.tables.insert(root.clone(), Table { snapshot: snapshot.clone(), entry, files, used });
        while state.tables.len() > TABLES_MAX
            || state.tables.values().map(|table| table.files).sum::<usize>() > FILES_MAX
        {
            let oldest = state.tables.iter().min_by_key(|(_, table)| table.used).map(|(root, _)| root.clone());
            let Some(oldest) = oldest else { return };
            state.tables.remove(&oldest);
        }
    }

    /// The snapshot with the entries that came since; `None` when the log is no longer the one that was read.
    async fn refreshed(&self, snapshot: &Snapshot, entry: &Entry) -> Option<(Snapshot, Entry)> {
        let log_store = snapshot.log_store();
        let version = snapshot.version();
        let (same, next) = futures::join!(described(log_store, version), described(log_store, version + 1));
        if same.ok()?.as_ref() != Some(entry) {
            return None;
        }
        if next.ok()?.is_none() {
            return Some((snapshot.clone(), entry.clone()));
        }
        let started = SystemTime::now();
        let mut state = DeltaTableState::new(snapshot.state().clone());
        state.update(log_store.as_ref(), None).await.ok()?;
        let newer: EagerSnapshot = state.snapshot().clone();
        let newer = Snapshot::of(snapshot.location().clone(), log_store.clone(), newer).ok()?;
        // A table that was replaced meanwhile would have been read half and half.
        if described(log_store, version).await.ok()?.as_ref() != Some(entry) {
            return None;
        }
        let newer_entry = entry_of(&newer, started).await?;
        Some((newer, newer_entry))
    }
}

/// The entry that made a snapshot's version, when it is the one that was read: as old as the listing of the log said,
/// or, where a checkpoint stood in for it, older than the reading.
async fn entry_of(snapshot: &Snapshot, started: SystemTime) -> Option<Entry> {
    let entry = described(snapshot.log_store(), snapshot.version()).await.ok()??;
    if let Some(read) = snapshot.state().version_timestamp(snapshot.version()) {
        return (read == entry.modified_ms).then_some(entry);
    }
    let skew = if location::is_local(snapshot.location()) { CLOCK_SKEW_LOCAL } else { CLOCK_SKEW };
    let modified = UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(entry.modified_ms).ok()?))?;
    (started.duration_since(modified).ok()? > skew).then_some(entry)
}

/// What the store says of a version's log entry; `None` when there is none.
async fn described(log_store: &LogStoreRef, version: u64) -> object_store::Result<Option<Entry>> {
    let path = log_store.log_path().clone().join(format!("{version:020}.json"));
    match log_store.object_store(None).head(&path).await {
        Ok(ObjectMeta { e_tag, last_modified, size, .. }) => {
            Ok(Some(Entry { e_tag, modified_ms: last_modified.timestamp_millis(), bytes: size }))
        }
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
