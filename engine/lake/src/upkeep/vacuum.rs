//! Files that no version within retention names, named or deleted.
//!
//! The Delta library decides by tombstones and by the age of files alone. That would delete what it must not: deletion
//! vectors of files whose removal is recent (no tombstone names them), files of versions within a retention longer than
//! the table's own (checkpoints have forgotten their tombstones), and other tables below the folder. So its answer is
//! one of several here, and a file goes only when none of them keeps it.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::temporal_conversions::try_duration_ms_to_duration;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use deltalake::kernel::Action;
use deltalake::logstore::{LogStoreRef, get_actions};
use deltalake::operations::vacuum::VacuumMode;
use deltalake::protocol::DeltaOperation;
use deltalake::{DeltaTable, ObjectStoreError, Path};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use serde_json::json;

use super::abandoned;
use super::paths::{deletion_vector_path, in_table, relative};
use crate::commit::{Entry, Reads, commit};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::location::{self, LOG_FOLDER};
use crate::snapshot::Snapshot;

/// A file system's clock may lag behind the system's by one tick.
const CLOCK_TICK_MS: i64 = 20;
const LOOKS_AT_ONCE: usize = 16;
const DAY_MS: i64 = 86_400_000;
/// What a path costs in a set, beside its letters.
const PATH_BYTES: usize = 64;

/// What to delete.
#[derive(Clone, Copy, Debug)]
pub struct Vacuum {
    /// Files that a version younger than this names are kept.
    pub retention: Duration,
    /// Whether files that the log never named, or no longer remembers, are looked for too.
    pub full: bool,
    /// Only name them.
    pub dry_run: bool,
    /// When the oldest statement began that may still read or write files of the table.
    pub oldest_statement: SystemTime,
}

/// What was deleted, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Below the table's folder, sorted.
    pub files: Vec<String>,
    pub bytes: u64,
}

impl Lake {
    /// Deletes files of the table that no version within `vacuum.retention` names, or tells which they are. Files
    /// younger than that, or than the oldest statement, stay: they may belong to a write under way.
    ///
    /// Two entries of the log, before and after, say that it was done; none when there is nothing to delete.
    pub async fn vacuum(&self, snapshot: &Snapshot, vacuum: Vacuum, session: &SessionState) -> Result<Vacuumed> {
        let lock = self.upkeep_of(snapshot.location());
        let _alone = lock.lock().await;
        let mut plan = Plan::new(snapshot, vacuum, session)?;
        plan.keep_versions().await?;
        let mut stale = match vacuum.full {
            true => plan.listed().await?,
            false => plan.removed().await?,
        };
        stale.sort_unstable();
        if vacuum.dry_run || stale.is_empty() {
            return Ok(vacuumed(stale));
        }
        self.delete(snapshot, vacuum, stale).await
    }

    async fn delete(&self, snapshot: &Snapshot, vacuum: Vacuum, mut stale: Vec<(Path, u64)>) -> Result<Vacuumed> {
        let retention_ms = i64::try_from(vacuum.retention.as_millis()).unwrap_or(i64::MAX);
        let default_ms = i64::try_from(snapshot.deleted_file_retention().as_millis()).unwrap_or(i64::MAX);
        let bytes: u64 = stale.iter().map(|(_, bytes)| *bytes).sum();
        let entry = Entry {
            actions: vec![],
            operation: DeltaOperation::VacuumStart {
                retention_check_enabled: retention_ms >= default_ms,
                specified_retention_millis: Some(retention_ms),
                default_retention_millis: default_ms,
            },
            metrics: json!({"numFilesToDelete": stale.len(), "sizeOfDataToDelete": bytes}),
            reads: Reads::Nothing,
        };
        commit(snapshot, entry).await?;
        // What another writer has brought back since is read again.
        let now = self.open(snapshot.location()).await?;
        let active: HashSet<Path> = now.state().log_data().iter().map(|file| file.object_store_path()).collect();
        stale.retain(|(path, _)| !active.contains(path));
        let deleted = delete_all(snapshot, &stale).await;
        let entry = Entry {
            actions: vec![],
            operation: DeltaOperation::VacuumEnd {
                status: if deleted.is_ok() { "COMPLETED" } else { "FAILED" }.to_owned(),
            },
            metrics: json!({"numDeletedFiles": deleted.as_ref().map_or(0, |count| *count), "numVacuumedDirectories": 0}),
            reads: Reads::Nothing,
        };
        commit(&now, entry).await?;
        deleted?;
        Ok(vacuumed(stale))
    }
}

fn vacuumed(stale: Vec<(Path, u64)>) -> Vacuumed {
    let bytes = stale.iter().map(|(_, bytes)| *bytes).sum();
    Vacuumed { files: stale.into_iter().map(|(path, _)| path.to_string()).collect(), bytes }
}

async fn delete_all(snapshot: &Snapshot, files: &[(Path, u64)]) -> Result<usize> {
    let is_local = location::is_local(snapshot.location());
    let (uploads, files): (Vec<_>, Vec<_>) =
        files.iter().map(|(path, _)| path).partition(|path| is_local && abandoned::is_upload(path));
    for upload in &uploads {
        abandoned::delete(snapshot, upload).await?;
    }
    let store = snapshot.log_store().object_store(None);
    let paths: Vec<_> = files.into_iter().map(|path| Ok(path.clone())).collect();
    let deletions = store.delete_stream(stream::iter(paths).boxed());
    let deleted = deletions.map(|deleted| match deleted {
        Ok(_) | Err(ObjectStoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    });
    deleted.try_fold(uploads.len(), |count, ()| std::future::ready(Ok(count + 1))).await.map_err(store_error)
}

/// The set of files that stay, and what tells the others.
struct Plan<'a> {
    snapshot: &'a Snapshot,
    log_store: &'a LogStoreRef,
    kept: HashSet<Path>,
    reservation: MemoryReservation,
    /// Milliseconds since 1970: what was removed or written since stays.
    cutoff_ms: i64,
}

impl<'a> Plan<'a> {
    fn new(snapshot: &'a Snapshot, vacuum: Vacuum, session: &SessionState) -> Result<Plan<'a>> {
        let retention_ms = i64::try_from(vacuum.retention.as_millis()).unwrap_or(i64::MAX);
        let cutoff_ms = now_ms().saturating_sub(retention_ms).min(ms(vacuum.oldest_statement));
        let reservation = MemoryConsumer::new("vacuum").register(&session.runtime_env().memory_pool);
        Ok(Plan { snapshot, log_store: snapshot.log_store(), kept: HashSet::new(), reservation, cutoff_ms })
    }

    fn keep(&mut self, path: Path) -> Result<()> {
        self.reservation.try_grow(path.as_ref().len() + PATH_BYTES)?;
        self.kept.insert(path);
        Ok(())
    }

    /// Keeps what the newest version names, and what entries since the cutoff added, removed or recorded.
    async fn keep_versions(&mut self) -> Result<()> {
        let snapshot = self.snapshot;
        for file in snapshot.state().log_data().iter() {
            self.keep(file.object_store_path())?;
            if let Some(path) = file.deletion_vector_descriptor().and_then(|vector| deletion_vector_path(&vector)) {
                self.keep(path)?;
            }
        }
        // Tombstones that checkpoints remember: all, without those that have expired.
        let expired: HashSet<Path> = self.tombstones(self.cutoff_ms).await?.into_iter().collect();
        for path in self.tombstones(now_ms() + DAY_MS).await? {
            if !expired.contains(&path) {
                self.keep(path)?;
            }
        }
        for version in (0..=snapshot.version()).rev() {
            let Some(entry) = self.log_store.read_commit_entry(version).await? else { break };
            let actions = get_actions(version, &entry)?;
            let committed_ms = actions.iter().find_map(|action| match action {
                Action::CommitInfo(info) => info.in_commit_timestamp.or(info.timestamp),
                _ => None,
            });
            let committed_ms = match committed_ms {
                Some(committed_ms) => committed_ms,
                None => self.written_ms(version).await?,
            };
            if committed_ms < self.cutoff_ms {
                break;
            }
            self.keep_named(actions)?;
        }
        Ok(())
    }

    fn keep_named(&mut self, actions: Vec<Action>) -> Result<()> {
        for action in actions {
            let (path, vector) = match action {
                Action::Add(add) => (add.path, add.deletion_vector),
                Action::Remove(remove) => (remove.path, remove.deletion_vector),
                Action::Cdc(file) => (file.path, None),
                _ => continue,
            };
            if let Some(path) = relative(&path, self.snapshot.location()) {
                self.keep(path)?;
            }
            if let Some(path) = vector.and_then(|vector| deletion_vector_path(&vector)) {
                self.keep(path)?;
            }
        }
        Ok(())
    }

    async fn written_ms(&self, version: u64) -> Result<i64> {
        let path = Path::from_iter([LOG_FOLDER, &format!("{version:020}.json")]);
        let file = self.log_store.object_store(None).head(&path).await.map_err(store_error)?;
        Ok(file.last_modified.timestamp_millis())
    }

    /// Files whose removal the log remembers, and that were removed before `before_ms`.
    async fn tombstones(&self, before_ms: i64) -> Result<Vec<Path>> {
        let mut table = DeltaTable::new(self.log_store.clone());
        table.load_version(self.snapshot.version()).await?;
        let retention = try_duration_ms_to_duration(now_ms().saturating_sub(before_ms))
            .ok_or_else(|| Error::Internal { message: "a retention beyond all time".to_owned() })?;
        let vacuum = table.vacuum().with_mode(VacuumMode::Lite).with_retention_period(retention);
        let (_, metrics) = vacuum.with_enforce_retention_duration(false).with_dry_run(true).await?;
        let path = |path: String| Path::parse(&path).unwrap_or_else(|_| Path::from(path.as_str()));
        Ok(metrics.files_deleted.into_iter().map(path).collect())
    }

    /// What the log says was removed and that is still there.
    async fn removed(&self) -> Result<Vec<(Path, u64)>> {
        let store = self.log_store.object_store(None);
        let expired = self.tombstones(self.cutoff_ms).await?.into_iter().filter(|path| !self.kept.contains(path));
        let looks = expired.map(|path| {
            let store = store.clone();
            async move {
                match store.head(&path).await {
                    Ok(file) => Ok(Some((path, file.size))),
                    Err(ObjectStoreError::NotFound { .. }) => Ok(None),
                    Err(error) => Err(store_error(error)),
                }
            }
        });
        stream::iter(looks)
            .buffer_unordered(LOOKS_AT_ONCE)
            .try_filter_map(|file| async { Ok(file) })
            .try_collect()
            .await
    }

    /// What lies in the folder and nothing keeps.
    async fn listed(&mut self) -> Result<Vec<(Path, u64)>> {
        let mut found = Vec::new();
        let mut other_tables = HashSet::new();
        let store = self.log_store.object_store(None);
        let mut files = store.list(None);
        while let Some(file) = files.next().await {
            let file = match file {
                Ok(file) => file,
                // Somebody else's temporary file.
                Err(ObjectStoreError::NotFound { .. }) => continue,
                Err(error) => return Err(store_error(error)),
            };
            if let Some((folder, _)) = file.location.as_ref().split_once(&format!("/{LOG_FOLDER}/")) {
                other_tables.insert(format!("{folder}/"));
            }
            let old = self.is_old(file.last_modified.timestamp_millis());
            if old && !self.kept.contains(&file.location) && in_table(&file.location, self.snapshot.partition_columns())
            {
                self.reservation.try_grow(file.location.as_ref().len() + PATH_BYTES)?;
                found.push((file.location, file.size));
            }
        }
        found.extend(self.abandoned().await?);
        found.retain(|(path, _)| other_tables.iter().all(|folder| !path.as_ref().starts_with(folder.as_str())));
        Ok(found)
    }

    /// What writers of this machine have begun and never ended.
    async fn abandoned(&mut self) -> Result<Vec<(Path, u64)>> {
        let location = self.snapshot.location();
        if !location::is_local(location) {
            return Ok(vec![]);
        }
        let uploads = abandoned::uploads(&location::folder(location)?, self.snapshot.partition_columns()).await?;
        let mut found = Vec::new();
        for upload in uploads {
            if self.is_old(upload.written_ms) && !self.kept.contains(&upload.path) {
                self.reservation.try_grow(upload.path.as_ref().len() + PATH_BYTES)?;
                found.push((upload.path, upload.bytes));
            }
        }
        Ok(found)
    }

    fn is_old(&self, written_ms: i64) -> bool {
        written_ms.saturating_add(CLOCK_TICK_MS) < self.cutoff_ms
    }
}

fn now_ms() -> i64 {
    ms(SystemTime::now())
}

pub(super) fn ms(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or_default()
}

fn store_error(error: ObjectStoreError) -> Error {
    deltalake::DeltaTableError::from(error).into()
}
