//! Which files a path means.

use std::sync::Arc;

use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::execution::SessionState;
use datafusion::object_store::path::Path;
use datafusion::object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt};
use futures::TryStreamExt;
use url::{Position, Url};

use super::pattern;
use crate::error::{Error, Result};
use crate::external::Format;

/// More files than that want a table with a log.
const FILES_MAX: usize = 100_000;

pub(super) struct Found {
    pub address: ObjectStoreUrl,
    pub store: Arc<dyn ObjectStore>,
    /// By name.
    pub files: Vec<FoundFile>,
}

pub(super) struct FoundFile {
    pub object: ObjectMeta,
    /// Folders between what the path named and the file.
    pub folders: Vec<String>,
}

impl Found {
    /// How the first file is named in messages.
    pub fn first(&self) -> String {
        self.files.first().map_or_else(String::new, |file| shown(&file.object))
    }

    /// How the files are compressed, by their names.
    pub fn compression(&self) -> Result<FileCompressionType> {
        let mut all = self.files.iter().map(|file| compression_of(file.object.location.as_ref()));
        let first = all.next().unwrap_or(FileCompressionType::UNCOMPRESSED);
        if all.any(|other| other != first) {
            return Err(Error::Unsupported { what: "files of different compression in one table".to_owned() });
        }
        Ok(first)
    }
}

/// The files of all paths, each once.
pub(super) async fn files(format: Format, paths: &[String], session: &SessionState) -> Result<Found> {
    let mut found: Option<Found> = None;
    for path in paths {
        let more = files_of(format, path, session).await?;
        match &mut found {
            None => found = Some(more),
            Some(found) if found.address == more.address => {
                for file in more.files {
                    if found.files.iter().all(|known| known.object.location != file.object.location) {
                        found.files.push(file);
                    }
                }
            }
            Some(_) => return Err(Error::Unsupported { what: "files of several stores in one table".to_owned() }),
        }
    }
    found.ok_or_else(|| Error::InvalidDefinition { message: "no path is given".to_owned() })
}

async fn files_of(format: Format, path: &str, session: &SessionState) -> Result<Found> {
    let (base, pattern) = match pattern::split(path) {
        Some((base, pattern)) => (base, Some(pattern)),
        None => (path, None),
    };
    let url = url(base)?;
    let address = ObjectStoreUrl::parse(&url[..Position::BeforePath])?;
    let store = session.runtime_env().object_store(&address)?;
    let base = Path::from_url_path(url.path()).map_err(|error| bad_path(path, &error))?;
    let named = match pattern {
        None if !url.path().ends_with('/') => named_file(&store, &base).await?,
        _ => None,
    };
    let mut files = match named {
        Some(object) => vec![FoundFile { object, folders: folders_with_values(&base) }],
        None => listed(&store, &base, pattern, format).await?,
    };
    if files.is_empty() {
        return Err(Error::NoFiles {
            path: path.to_owned(),
            extensions: pattern.is_none().then(|| extensions(format)),
        });
    }
    files.sort_by(|left, right| left.object.location.cmp(&right.object.location));
    Ok(Found { address, store, files })
}

fn bad_path(path: &str, error: &dyn std::fmt::Display) -> Error {
    Error::InvalidDefinition { message: format!("invalid path \"{path}\": {error}") }
}

/// A URL, or a path, which is taken from the working directory when it is relative.
pub(crate) fn url(path: &str) -> Result<Url> {
    if path.contains("://") {
        return Url::parse(path).map_err(|error| bad_path(path, &error));
    }
    let absolute = std::path::absolute(if path.is_empty() { "." } else { path });
    let absolute = absolute.map_err(|error| bad_path(path, &error))?;
    let folder = path.is_empty() || path.ends_with('/') || absolute.is_dir();
    let url = if folder { Url::from_directory_path(&absolute) } else { Url::from_file_path(&absolute) };
    url.map_err(|()| bad_path(path, &"it is no absolute path"))
}

async fn named_file(store: &Arc<dyn ObjectStore>, path: &Path) -> Result<Option<ObjectMeta>> {
    match store.head(path).await {
        Ok(object) => Ok(Some(object)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(deltalake::DeltaTableError::from(error).into()),
    }
}

/// A file named by itself may lie in folders that hold values, too.
fn folders_with_values(path: &Path) -> Vec<String> {
    let parts: Vec<String> = path.parts().map(|part| part.as_ref().to_owned()).collect();
    let folders = parts.split_last().map_or(&[][..], |(_, folders)| folders);
    folders.iter().filter(|folder| folder.contains('=')).cloned().collect()
}

async fn listed(
    store: &Arc<dyn ObjectStore>,
    base: &Path,
    pattern: Option<&str>,
    format: Format,
) -> Result<Vec<FoundFile>> {
    let mut objects = store.list(Some(base));
    let mut files = vec![];
    while let Some(object) = objects.try_next().await.map_err(deltalake::DeltaTableError::from)? {
        let Some(below) = object.location.prefix_match(base) else { continue };
        let below: Vec<String> = below.map(|part| part.as_ref().to_owned()).collect();
        let Some((name, folders)) = below.split_last() else { continue };
        let wanted = match pattern {
            Some(pattern) => pattern::matches(pattern, &below.join("/")),
            None => has_extension(format, name),
        };
        // What writers keep beside their files, such as `_SUCCESS`, `_delta_log` and `.crc`.
        let hidden = |name: &String| name.starts_with(['_', '.']) && !name.contains('=');
        if !wanted || below.iter().any(hidden) {
            continue;
        }
        let folders = match pattern {
            Some(_) => folders_with_values(&object.location),
            None => folders.to_vec(),
        };
        files.push(FoundFile { folders, object });
        if files.len() > FILES_MAX {
            return Err(Error::Unsupported { what: format!("a table of more than {FILES_MAX} files") });
        }
    }
    Ok(files)
}

fn extensions(format: Format) -> &'static [&'static str] {
    match format {
        Format::Delta | Format::Parquet => &["parquet", "pq"],
        Format::Csv => &["csv", "tsv"],
        Format::Json => &["json", "jsonl", "ndjson"],
        Format::Arrow => &["arrow", "ipc", "feather"],
    }
}

fn has_extension(format: Format, name: &str) -> bool {
    let name = name.to_lowercase();
    let plain = COMPRESSED.iter().find_map(|(suffix, _)| name.strip_suffix(suffix)).unwrap_or(&name);
    extensions(format).iter().any(|extension| plain.strip_suffix(extension).is_some_and(|stem| stem.ends_with('.')))
}

const COMPRESSED: &[(&str, FileCompressionType)] = &[
    (".gz", FileCompressionType::GZIP),
    (".zst", FileCompressionType::ZSTD),
    (".bz2", FileCompressionType::BZIP2),
    (".xz", FileCompressionType::XZ),
];

pub(super) fn compression_of(name: &str) -> FileCompressionType {
    let name = name.to_lowercase();
    let known = COMPRESSED.iter().find(|(suffix, _)| name.ends_with(suffix));
    known.map_or(FileCompressionType::UNCOMPRESSED, |(_, compression)| *compression)
}

pub(super) fn shown(object: &ObjectMeta) -> String {
    format!("\"/{}\"", object.location)
}
