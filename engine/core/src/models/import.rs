//! Copying a model's files into the store: whole or not at all, under the name of their content.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use uuid::Uuid;

use super::digest;
use crate::catalog::STAGING_PREFIX;
use crate::error::{Error, Kind, Result};

/// A model's files, complete and on disk, in a folder that isn't in the store yet. Goes away when dropped.
#[derive(Debug)]
pub(super) struct Staged {
    pub sha256: String,
    folder: PathBuf,
}

impl Staged {
    /// Copies `files` (paths relative to `source`, with `/`) into a new folder inside of `store`. Blocks.
    pub(super) fn copy(store: &Path, source: &Path, files: &[String]) -> Result<Staged> {
        let folder = store.join(format!("{STAGING_PREFIX}{}", Uuid::new_v4().simple()));
        let mut staged = Staged { sha256: String::new(), folder };
        fs::create_dir_all(&staged.folder).map_err(|error| failed(&staged.folder, error))?;
        let mut digests = BTreeMap::new();
        for file in files {
            let relative = relative_path(file)?;
            let from = source.join(&relative);
            let digest = copy_file(&from, &staged.folder.join(&relative)).map_err(|error| failed(&from, error))?;
            digests.insert(file.clone(), digest);
        }
        if digests.is_empty() {
            return Err(Error::new(Kind::ModelInvalid, format!("model \"{}\" has no files", source.display())));
        }
        sync_folders(&staged.folder).map_err(|error| failed(&staged.folder, error))?;
        staged.sha256 = digest::of_model(&digests);
        Ok(staged)
    }

    /// Moves the folder to its place in the store in one step. Blocks.
    pub(super) fn place(self, store: &Path) -> Result<PathBuf> {
        let place = store.join(&self.sha256);
        fs::rename(&self.folder, &place).and_then(|()| sync_folder(store)).map_err(|error| failed(&place, error))?;
        Ok(place)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After `place` there is nothing left to remove; what stays on an error goes at the next start.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Computes the digest of files in the store anew. Blocks.
pub(super) fn stored_digest(folder: &Path, files: &[String]) -> Result<String> {
    let mut digests = BTreeMap::new();
    for file in files {
        let path = folder.join(relative_path(file)?);
        let digest = digest::of_file(&path).map_err(|error| {
            Error::new(Kind::ModelMissing, format!("could not read model file \"{}\": {error}", path.display()))
        })?;
        digests.insert(file.clone(), digest);
    }
    Ok(digest::of_model(&digests))
}

/// A model names its own files: none of them may lie outside of its folder.
fn relative_path(file: &str) -> Result<PathBuf> {
    let path = PathBuf::from(file);
    match !file.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(path),
        false => {
            Err(Error::new(Kind::ModelInvalid, format!("the model names a file outside of its folder: \"{file}\"")))
        }
    }
}

fn copy_file(from: &Path, to: &Path) -> io::Result<String> {
    if !fs::metadata(from)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut target = File::create_new(to)?;
    let digest = digest::copy(&mut File::open(from)?, &mut target)?;
    target.flush()?;
    target.sync_all()?;
    Ok(digest)
}

fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn failed(path: &Path, error: io::Error) -> Error {
    let message = format!("could not import model file \"{}\": {error}", path.display());
    Error { message, ..Error::from(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_placed_under_their_digest_whatever_their_order() {
        let (source, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(source.path().join("1_Pooling")).unwrap();
        fs::write(source.path().join("model.onnx"), b"graph").unwrap();
        fs::write(source.path().join("1_Pooling/config.json"), b"{}").unwrap();
        let files = ["model.onnx".to_owned(), "1_Pooling/config.json".to_owned()];
        let reversed: Vec<String> = files.iter().rev().cloned().collect();
        let other = Staged::copy(store.path(), source.path(), &reversed).unwrap();
        let staged = Staged::copy(store.path(), source.path(), &files).unwrap();
        assert_eq!(staged.sha256, other.sha256);
        drop(other);
        let sha256 = staged.sha256.clone();
        let place = staged.place(store.path()).unwrap();
        assert_eq!(stored_digest(&place, &files).unwrap(), sha256);
        let left: Vec<_> = fs::read_dir(store.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [sha256.as_str()]);
        fs::write(place.join("model.onnx"), b"another graph").unwrap();
        assert_ne!(stored_digest(&place, &files).unwrap(), sha256);
    }

    #[test]
    fn a_failing_import_leaves_nothing() {
        let (source, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(source.path().join("model.onnx"), b"graph").unwrap();
        for second in ["missing.data", "../model.onnx", "/etc/hostname"] {
            let files = ["model.onnx".to_owned(), second.to_owned()];
            Staged::copy(store.path(), source.path(), &files).unwrap_err();
        }
        assert_eq!(fs::read_dir(store.path()).unwrap().count(), 0);
    }
}
