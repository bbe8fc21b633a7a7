//! Uploads to a folder of this machine that never ended, because their process was killed.
//!
//! The store writes `<file>#<number>` and renames it at the end. What is left behind it neither lists nor deletes, and
//! a table would keep it forever.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use deltalake::Path as StorePath;

use super::paths::in_table;
use crate::error::Result;
use crate::location::LOG_FOLDER;
use crate::snapshot::Snapshot;

/// An upload, as it lies there.
pub(super) struct Upload {
    /// Below the table's folder.
    pub path: StorePath,
    pub bytes: u64,
    /// When its last bytes came, in milliseconds since 1970.
    pub written_ms: i64,
}

/// The uploads below `folder` to files of a table or of its log, those that are under way included.
pub(super) async fn uploads(folder: &Path, partition_columns: &[String]) -> Result<Vec<Upload>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let mut entries = match tokio::fs::read_dir(folder.join(&below)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries?,
        };
        while let Some(entry) = entries.next_entry().await? {
            let path = below.join(entry.file_name());
            // A link leads out of the table.
            let kind = entry.file_type().await?;
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            let Some(path) = path.to_str().filter(|_| kind.is_file()).and_then(|path| StorePath::parse(path).ok())
            else {
                continue;
            };
            if !is_upload(&path) || !(in_table(&path, partition_columns) || in_log(&path)) {
                continue;
            }
            match entry.metadata().await {
                // It has ended by now.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                metadata => {
                    let metadata = metadata?;
                    let written_ms = super::vacuum::ms(metadata.modified()?);
                    found.push(Upload { path, bytes: metadata.len(), written_ms });
                }
            }
        }
    }
    Ok(found)
}

/// Deletes an upload; it may be gone.
pub(super) async fn delete(snapshot: &Snapshot, upload: &StorePath) -> Result<()> {
    let folder = crate::location::folder(snapshot.location())?;
    match tokio::fs::remove_file(folder.join(upload.as_ref())).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => Ok(result?),
    }
}

/// Whether the store takes a file for an upload of its own.
pub(super) fn is_upload(path: &StorePath) -> bool {
    let number = path.filename().and_then(|name| name.split_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|letter| letter.is_ascii_digit()))
}

fn in_log(path: &StorePath) -> bool {
    path.as_ref().strip_prefix(LOG_FOLDER).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_end_in_a_number() {
        for (path, expected) in [
            ("a.parquet#1", true),
            ("p=1/a.parquet#12", true),
            ("a.parquet", false),
            ("a#b.parquet", false),
            ("a#1.parquet", false),
            ("a.parquet#", false),
            ("p#1/a.parquet", false),
        ] {
            assert_eq!(is_upload(&StorePath::parse(path).unwrap()), expected, "{path}");
        }
    }
}
