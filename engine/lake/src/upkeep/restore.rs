//! A table as it was: the newest version gets the files and the metadata of an earlier one.

use std::collections::HashMap;

use deltalake::ObjectStoreError;
use deltalake::kernel::{Action, Add, LogicalFileView};
use deltalake::protocol::DeltaOperation;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use serde_json::json;

use super::paths::{deletion_vector_path, relative};
use crate::commit::{Entry, Reads, commit};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::snapshot::Snapshot;

const LOOKS_AT_ONCE: usize = 16;
/// Missing files that an error names.
const NAMED_FILES_MAX: usize = 3;

/// What a restoration has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The version that stands for the earlier one; the newest, when the two were alike.
    pub version: u64,
    pub files: u64,
    pub bytes: u64,
    pub removed_files: u64,
    pub removed_bytes: u64,
    pub restored_files: u64,
    pub restored_bytes: u64,
}

impl Lake {
    /// Commits a version that holds what `earlier`, a version of the same table, held: rows, columns, constraints and
    /// properties. The protocol stays, since protocols don't go back. Nothing is committed when nothing differs.
    ///
    /// # Errors
    /// [`Error::FilesMissing`] when a file that would come back has been vacuumed; [`Error::Conflict`].
    pub async fn restore(&self, snapshot: &Snapshot, earlier: &Snapshot) -> Result<Restored> {
        // A vacuum must not take the files that this brings back.
        let lock = self.upkeep_of(snapshot.location());
        let _alone = lock.lock().await;
        check_protocol(snapshot, earlier)?;
        let (now, then) = (files(snapshot), files(earlier));
        let restored: Vec<Add> = without(&then, &now).map(add).collect();
        let removed: Vec<&LogicalFileView> = without(&now, &then).collect();
        look_for(snapshot, earlier, &restored).await?;
        let mut outcome = Restored { version: snapshot.version(), ..Restored::default() };
        outcome.files = then.len() as u64;
        outcome.bytes = then.values().map(bytes).sum();
        outcome.restored_files = restored.len() as u64;
        outcome.restored_bytes = restored.iter().map(|add| u64::try_from(add.size).unwrap_or_default()).sum();
        outcome.removed_files = removed.len() as u64;
        outcome.removed_bytes = removed.iter().map(|file| bytes(file)).sum();
        let mut actions: Vec<Action> =
            removed.into_iter().map(|file| Action::Remove(file.remove_action(true))).collect();
        actions.extend(restored.into_iter().map(Action::Add));
        if !same_metadata(snapshot, earlier)? {
            actions.push(Action::Metadata(earlier.state().metadata().clone()));
        }
        if actions.is_empty() {
            return Ok(outcome);
        }
        let entry = Entry {
            actions,
            operation: DeltaOperation::Restore { version: Some(earlier.version()), datetime: None },
            metrics: json!({
                "numRestoredFiles": outcome.restored_files,
                "restoredFilesSize": outcome.restored_bytes,
                "numRemovedFiles": outcome.removed_files,
                "removedFilesSize": outcome.removed_bytes,
                "numOfFilesAfterRestore": outcome.files,
                "tableSizeAfterRestore": outcome.bytes,
            }),
            reads: Reads::Table,
        };
        outcome.version = commit(snapshot, entry).await?;
        Ok(outcome)
    }
}

/// A file is the same when its rows are: its deletion vector is part of what it is.
type Key = (String, Option<(String, Option<i32>)>);

fn files(snapshot: &Snapshot) -> HashMap<Key, LogicalFileView> {
    let keyed = |file: LogicalFileView| {
        let vector = file.deletion_vector_descriptor().map(|vector| (vector.path_or_inline_dv, vector.offset));
        ((file.path().into_owned(), vector), file)
    };
    snapshot.state().log_data().iter().map(keyed).collect()
}

fn without<'a>(
    files: &'a HashMap<Key, LogicalFileView>,
    others: &'a HashMap<Key, LogicalFileView>,
) -> impl Iterator<Item = &'a LogicalFileView> {
    files.iter().filter(|(key, _)| !others.contains_key(key)).map(|(_, file)| file)
}

#[expect(deprecated, reason = "the arrays that should replace it are not public")]
fn add(file: &LogicalFileView) -> Add {
    file.add_action()
}

fn bytes(file: &LogicalFileView) -> u64 {
    u64::try_from(file.size()).unwrap_or_default()
}

/// Fails unless every file is there, with its deletion vector.
async fn look_for(snapshot: &Snapshot, earlier: &Snapshot, adds: &[Add]) -> Result<()> {
    let store = snapshot.log_store().object_store(None);
    let paths = adds.iter().flat_map(|add| {
        let vector = add.deletion_vector.as_ref().and_then(deletion_vector_path);
        relative(&add.path, snapshot.location()).into_iter().chain(vector)
    });
    let looks = paths.map(|path| {
        let store = store.clone();
        async move {
            match store.head(&path).await {
                Ok(_) => Ok(None),
                Err(ObjectStoreError::NotFound { .. }) => Ok(Some(path.to_string())),
                Err(error) => Err(Error::from(deltalake::DeltaTableError::from(error))),
            }
        }
    });
    let missing = stream::iter(looks.collect::<Vec<_>>()).buffered(LOOKS_AT_ONCE);
    let mut missing: Vec<String> = missing.try_filter_map(|path| async { Ok(path) }).try_collect().await?;
    if missing.is_empty() {
        return Ok(());
    }
    let count = missing.len();
    missing.truncate(NAMED_FILES_MAX);
    Err(Error::FilesMissing { version: earlier.version(), count, files: missing.join(", ") })
}

fn check_protocol(snapshot: &Snapshot, earlier: &Snapshot) -> Result<()> {
    let (now, then) = (snapshot.detail(), earlier.detail());
    if then.min_reader_version > now.min_reader_version || then.min_writer_version > now.min_writer_version {
        return Err(Error::UnsupportedFeature { name: "restoring a version of a higher protocol".to_owned() });
    }
    match then.table_features.iter().find(|feature| !now.table_features.contains(feature)) {
        // Older protocols have no list of features; what they could is in the newer ones.
        Some(feature) if !now.table_features.is_empty() => {
            Err(Error::UnsupportedFeature { name: format!("restoring a version with the dropped feature {feature}") })
        }
        _ => Ok(()),
    }
}

fn same_metadata(snapshot: &Snapshot, earlier: &Snapshot) -> Result<bool> {
    let json = |snapshot: &Snapshot| {
        serde_json::to_value(Action::Metadata(snapshot.state().metadata().clone()))
            .map_err(|error| Error::Internal { message: format!("the metadata of a table is no JSON: {error}") })
    };
    Ok(json(snapshot)? == json(earlier)?)
}
