//! Folders in the data directory: where managed tables lie, and the removal of those that no table names.
//!
//! A folder is written down as unfinished before its first file is made, and taken off that list in the same
//! transaction that gives it a table (or a model). What the list still names at the next start was left by a process
//! that died, and goes. A folder that neither the list nor an entry names is never touched: with a lost or older
//! catalog no data is lost.

use std::path::{Component, Path, PathBuf};

use alluvia_lake::Lake;
use url::Url;
use uuid::Uuid;

use super::changes::{self, ForgetFolder, ReserveFolder};
use super::entry::{TableEntry, TableKind};
use super::{Catalog, store};
use crate::error::{Error, Kind, Result};

pub(super) const TABLES_FOLDER: &str = "tables";
pub(super) const MODELS_FOLDER: &str = "models";

/// Start of the names of folders beside the models in which files are being collected, for the length of one import.
pub(crate) const STAGING_PREFIX: &str = ".import-";

impl Catalog {
    /// Reserves a new folder `<data_dir>/tables/<schema>/<table>-<8 hex>/` for a managed table that is about to be
    /// written. If the table is never registered, hand the location to [`Catalog::discard_folder`]; a process that
    /// dies before leaves that to the next start.
    ///
    /// Errors: those of creating a table of that name, except that it exists already.
    pub async fn reserve_table_folder(&self, schema: &str, name: &str) -> Result<Url> {
        changes::check_writable_schema(schema)?;
        changes::check_name("table", name)?;
        let unique = Uuid::new_v4().simple().to_string();
        let suffix = unique.get(..8).unwrap_or_default();
        let path = format!("{TABLES_FOLDER}/{}/{}-{suffix}", folder_name(schema), folder_name(name));
        let location = folder_url(self.data_dir(), &path)?;
        // That of temporary tables is no schema of the catalog: they stay on the list for as long as they live.
        let schema = (schema != crate::planning::TEMPORARY_SCHEMA).then(|| schema.to_owned());
        self.change(ReserveFolder { schema, path }).await?;
        Ok(location)
    }

    /// Removes a dropped table's files if they are ours, and nothing otherwise.
    pub async fn discard(&self, lake: &Lake, table: &TableEntry) -> Result<()> {
        match table.kind {
            TableKind::Managed => self.discard_folder(lake, &table.location).await,
            TableKind::Located | TableKind::External(_) => Ok(()),
        }
    }

    /// Removes a reserved folder, or one whose table was dropped, and strikes it off the list of unfinished folders.
    pub async fn discard_folder(&self, lake: &Lake, location: &Url) -> Result<()> {
        let path = relative_folder(self.data_dir(), location)?;
        if self.snapshot().tables().any(|table| table.location == *location) {
            return Err(Error::internal(format!("folder {path} belongs to a table")));
        }
        match lake.remove(location).await {
            // Data files without a log: its creation never committed. The folder is ours all the same.
            Err(alluvia_lake::Error::NotATable { .. }) => {
                remove_folder(&self.data_dir().join(checked_relative(&path)?)).await?;
            }
            removed => removed?,
        }
        self.change(ForgetFolder { path }).await
    }

    /// Removes what a process that died has left behind. To be called once, before the first statement.
    pub async fn sweep(&self, lake: &Lake) -> Result<()> {
        let snapshot = self.snapshot();
        let unfinished = store::unfinished_folders(&mut *self.inner.writer.lock().await).await?;
        for path in unfinished {
            let folder = self.data_dir().join(checked_relative(&path)?);
            tracing::info!(folder = %folder.display(), "removing an unfinished folder");
            if let Some(sha256) = path.strip_prefix("models/") {
                if !snapshot.names_model_files(sha256, "") {
                    remove_folder(&folder).await?;
                }
                self.change(ForgetFolder { path }).await?;
            } else if folder.exists() {
                self.discard_folder(lake, &folder_url(self.data_dir(), &path)?).await?;
            } else {
                self.change(ForgetFolder { path }).await?;
            }
        }
        remove_staging(&self.data_dir().join(MODELS_FOLDER)).await
    }

    /// Writes down that a model's folder is being made.
    pub(crate) async fn reserve_model_folder(&self, sha256: &str) -> Result<()> {
        self.change(ReserveFolder { schema: None, path: format!("{MODELS_FOLDER}/{sha256}") }).await
    }

    /// Removes a model's folder unless a model names it.
    pub(crate) async fn discard_model_folder(&self, sha256: &str) -> Result<()> {
        if self.snapshot().names_model_files(sha256, "") {
            return Ok(());
        }
        let path = format!("{MODELS_FOLDER}/{sha256}");
        remove_folder(&self.data_dir().join(checked_relative(&path)?)).await?;
        self.change(ForgetFolder { path }).await
    }
}

/// `file:///<data_dir>/<path>/`
pub(super) fn folder_url(data_dir: &Path, path: &str) -> Result<Url> {
    let folder = data_dir.join(checked_relative(path)?);
    Url::from_directory_path(&folder).map_err(|()| Error::internal(format!("{} has no URL form", folder.display())))
}

/// The inverse of [`folder_url`].
///
/// Errors: [`Kind::InvalidTableDefinition`] for a location outside of the data directory's table folders.
pub(super) fn relative_folder(data_dir: &Path, location: &Url) -> Result<String> {
    let outside = || {
        Error::new(Kind::InvalidTableDefinition, "a managed table lies in the data directory")
            .with_detail(format!("\"{location}\" lies elsewhere."))
    };
    let folder = location.to_file_path().map_err(|()| outside())?;
    let relative = folder.strip_prefix(data_dir).map_err(|_| outside())?;
    let path = relative.to_str().ok_or_else(outside)?.trim_end_matches('/');
    match path.starts_with("tables/") && checked_relative(path).is_ok() {
        true => Ok(path.to_owned()),
        false => Err(outside()),
    }
}

/// A path that stays where it is put: no root, no `..`.
fn checked_relative(path: &str) -> Result<PathBuf> {
    let relative = PathBuf::from(path);
    match !path.is_empty() && relative.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(relative),
        false => Err(Error::internal(format!("\"{path}\" is not a folder of the data directory"))),
    }
}

/// A name as a folder's: ASCII letters and digits as they are, anything else as `_`, cut to a length every file system
/// takes. Two names may meet here; the random suffix keeps their folders apart.
fn folder_name(name: &str) -> String {
    const LENGTH_MAX: usize = 100;
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    name.chars().take(LENGTH_MAX).map(plain).collect()
}

async fn remove_staging(models: &Path) -> Result<()> {
    let mut entries = match tokio::fs::read_dir(models).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    while let Some(entry) = entries.next_entry().await? {
        if entry.file_name().to_string_lossy().starts_with(STAGING_PREFIX) {
            remove_folder(&entry.path()).await?;
        }
    }
    Ok(())
}

async fn remove_folder(folder: &Path) -> Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::new(Kind::Io, format!("could not remove \"{}\": {error}", folder.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_hold_no_separators() {
        assert_eq!(folder_name("taxi_2024"), "taxi_2024");
        assert_eq!(folder_name("../a b"), "___a_b");
        assert_eq!(folder_name(&"ü".repeat(200)), "_".repeat(100));
    }

    #[test]
    fn locations_come_back_as_folders() {
        let data_dir = Path::new("/srv/lake data");
        let location = folder_url(data_dir, "tables/public/a_b-00112233").unwrap();
        assert_eq!(relative_folder(data_dir, &location).unwrap(), "tables/public/a_b-00112233");
        assert!(folder_url(data_dir, "tables/../x").is_err());
        assert!(relative_folder(data_dir, &Url::parse("file:///srv/other/tables/x/").unwrap()).is_err());
        assert!(relative_folder(data_dir, &Url::parse("file:///srv/lake%20data/models/x/").unwrap()).is_err());
        assert!(relative_folder(data_dir, &Url::parse("s3://bucket/tables/x/").unwrap()).is_err());
    }
}
