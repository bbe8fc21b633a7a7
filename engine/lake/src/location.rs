//! Where a table lies: a folder of this machine, or one of an object store; what is in it, and how it is emptied.

mod remote;

use std::path::{Path, PathBuf};

use deltalake::logstore::LogStoreRef;
use deltalake::{DeltaTableBuilder, DeltaTableError};
use url::Url;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::stores::{self, Stores};

pub(crate) use remote::Recorder;

pub(crate) const LOG_FOLDER: &str = "_delta_log";
/// What a table's log is called once the table has been dropped, until its files are gone.
const DROPPED_LOG_PREFIX: &str = "_dropped_delta_log_";

/// Whether a location is a path of this machine.
pub(crate) fn is_local(location: &Url) -> bool {
    location.scheme() == "file"
}

/// The folder that a `file://` URL names.
pub(crate) fn folder(location: &Url) -> Result<PathBuf> {
    if location.scheme() != "file" {
        return Err(Error::UnsupportedFeature { name: format!("locations of scheme {}", location.scheme()) });
    }
    location.to_file_path().map_err(|()| Error::NotATable { location: location.to_string() })
}

/// `location` with one slash at its end, without `.` and `..`.
pub(crate) fn root(location: &Url) -> Result<Url> {
    if !is_local(location) {
        return stores::canonical(location);
    }
    let folder = folder(location)?;
    Url::from_directory_path(&folder).map_err(|()| Error::NotATable { location: location.to_string() })
}

/// How messages name a location: as a path where it is one.
pub(crate) fn display(location: &Url) -> String {
    match location.to_file_path() {
        Ok(path) => path.display().to_string(),
        Err(()) => location.to_string(),
    }
}

/// The log store of the table at `root`, whose folder exists.
pub(crate) fn log_store(root: &Url, stores: &Stores) -> Result<LogStoreRef> {
    if !is_local(root) {
        return stores.log_store(root);
    }
    Ok(DeltaTableBuilder::from_url(root.clone())?.build_storage()?)
}

/// The log store of a folder that holds a Delta table.
pub(crate) async fn existing_table(root: &Url, stores: &Stores) -> Result<LogStoreRef> {
    let not_a_table = || Error::NotATable { location: display(root) };
    if is_local(root) && !tokio::fs::try_exists(folder(root)?.join(LOG_FOLDER)).await? {
        return Err(not_a_table());
    }
    let log_store = log_store(root, stores)?;
    match log_store.is_delta_table_location().await {
        Ok(true) => Ok(log_store),
        Ok(false) | Err(DeltaTableError::NotATable(_)) => Err(not_a_table()),
        Err(error) => Err(error.into()),
    }
}

/// The log store of a new, empty folder at `root`.
pub(crate) async fn vacant(root: &Url, stores: &Stores) -> Result<LogStoreRef> {
    if !is_local(root) {
        return remote::vacant(root, stores).await;
    }
    let folder = folder(root)?;
    tokio::fs::create_dir_all(&folder).await?;
    if !is_empty(&folder).await? {
        return Err(Error::LocationInUse { location: display(root) });
    }
    log_store(root, stores)
}

async fn is_empty(folder: &Path) -> Result<bool> {
    Ok(tokio::fs::read_dir(folder).await?.next_entry().await?.is_none())
}

/// Deletes a dropped table's files. Its log goes first and in one step, so that a folder that is half removed is
/// no table. A folder that isn't there is fine; one that holds something else is left alone.
pub(crate) async fn remove_table(root: &Url, stores: &Stores) -> Result<()> {
    if !is_local(root) {
        return remote::remove_table(root, stores).await;
    }
    let folder = folder(root)?;
    if !tokio::fs::try_exists(&folder).await? {
        return Ok(());
    }
    let log = folder.join(LOG_FOLDER);
    if tokio::fs::try_exists(&log).await? {
        let dropped = folder.join(format!("{DROPPED_LOG_PREFIX}{}", Uuid::new_v4().simple()));
        tokio::fs::rename(&log, &dropped).await?;
    } else if !is_empty(&folder).await? && !was_dropped(&folder).await? {
        return Err(Error::NotATable { location: display(root) });
    }
    remove_folder(&folder).await
}

async fn was_dropped(folder: &Path) -> Result<bool> {
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        if entry.file_name().to_string_lossy().starts_with(DROPPED_LOG_PREFIX) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes what a creation that never committed has left at `root`. A folder with a log is left alone: false.
pub(crate) async fn clear_unfinished(root: &Url, stores: &Stores) -> Result<bool> {
    if !is_local(root) {
        return remote::clear_unfinished(root, stores).await;
    }
    let folder = folder(root)?;
    if !tokio::fs::try_exists(&folder).await? {
        return Ok(true);
    }
    let log = folder.join(LOG_FOLDER);
    if tokio::fs::try_exists(&log).await? && !is_empty(&log).await? {
        return Ok(false);
    }
    remove_folder(&folder).await?;
    Ok(true)
}

async fn remove_folder(folder: &Path) -> Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => Ok(result?),
    }
}
