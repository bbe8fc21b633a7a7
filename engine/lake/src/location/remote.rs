//! Folders of object stores. There are none, only objects whose names begin alike, and nothing can be renamed; so what
//! is deleted goes in an order that leaves no half of a table at any moment.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::logstore::{LogStoreRef, ObjectStoreRef};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use parking_lot::Mutex;
use url::Url;

use super::{LOG_FOLDER, display};
use crate::error::{Error, Result};
use crate::stores::Stores;

/// An object that lies in a dropped table's folder until its other files are gone.
const DROPPED_MARK: &str = "_dropped_delta_table";

/// The log store of a folder in which there is nothing.
pub(super) async fn vacant(root: &Url, stores: &Stores) -> Result<LogStoreRef> {
    let log_store = stores.log_store(root)?;
    match log_store.object_store(None).list(None).next().await {
        None => Ok(log_store),
        Some(Ok(_)) => Err(Error::LocationInUse { location: display(root) }),
        Some(Err(error)) => Err(error.into()),
    }
}

/// Deletes a dropped table: a mark first, then checkpoints, then the log's entries from the oldest on. Without its
/// first entry and without checkpoints no reader finds a table; before that every reader finds the whole one.
pub(super) async fn remove_table(root: &Url, stores: &Stores) -> Result<()> {
    let store = stores.log_store(root)?.object_store(None);
    let (log_folder, mark) = (Path::from(LOG_FOLDER), Path::from(DROPPED_MARK));
    let mut log: Vec<Path> = names(&store, Some(&log_folder)).try_collect().await?;
    let marked = exists(&store, &mark).await?;
    if log.is_empty() && !marked {
        return match store.list(None).next().await {
            None => Ok(()),
            Some(Ok(_)) => Err(Error::NotATable { location: display(root) }),
            Some(Err(error)) => Err(error.into()),
        };
    }
    if !marked {
        store.put(&mark, PutPayload::from_static(b"")).await?;
    }
    log.sort();
    let (entries, others): (Vec<Path>, Vec<Path>) = log.into_iter().partition(is_entry);
    delete(&store, others).await?;
    for entry in entries {
        store.delete(&entry).await?;
    }
    let mut rest: Vec<Path> = names(&store, None).try_collect().await?;
    rest.retain(|path| *path != mark);
    delete(&store, rest).await?;
    Ok(store.delete(&mark).await?)
}

/// Deletes what lies at `root` if there is no log: true. Only for folders that no other process can be filling.
pub(super) async fn clear_unfinished(root: &Url, stores: &Stores) -> Result<bool> {
    let store = stores.log_store(root)?.object_store(None);
    if store.list(Some(&Path::from(LOG_FOLDER))).next().await.transpose()?.is_some() {
        return Ok(false);
    }
    let found: Vec<Path> = names(&store, None).try_collect().await?;
    delete(&store, found).await?;
    Ok(true)
}

/// `_delta_log/00000000000000000007.json`
fn is_entry(path: &Path) -> bool {
    path.filename()
        .and_then(|name| name.strip_suffix(".json"))
        .is_some_and(|number| number.len() == 20 && number.bytes().all(|digit| digit.is_ascii_digit()))
}

async fn exists(store: &ObjectStoreRef, path: &Path) -> Result<bool> {
    match store.head(path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn names(store: &ObjectStoreRef, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<Path>> {
    store.list(prefix).map_ok(|found| found.location).boxed()
}

async fn delete(store: &ObjectStoreRef, paths: Vec<Path>) -> Result<()> {
    let mut deleted = store.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
    while deleted.next().await.transpose()?.is_some() {}
    Ok(())
}

/// What a creation has put into a folder that another process may be filling too: it clears away this, and no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    paths: Arc<Mutex<Vec<Path>>>,
}

impl Recorder {
    pub fn over(&self, store: ObjectStoreRef) -> ObjectStoreRef {
        Arc::new(Recording { store, recorder: self.clone() })
    }

    /// Deletes what was recorded, unless the folder's table names it by now.
    pub async fn clear(&self, store: &ObjectStoreRef) -> Result<()> {
        let paths = std::mem::take(&mut *self.paths.lock());
        delete(store, paths).await
    }
}

/// A store that writes down what is put into it.
#[derive(Debug)]
struct Recording {
    store: ObjectStoreRef,
    recorder: Recorder,
}

impl Recording {
    fn record(&self, path: &Path) {
        self.recorder.paths.lock().push(path.clone());
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(formatter)
    }
}

#[async_trait]
impl ObjectStore for Recording {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        self.record(path);
        self.store.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.record(path);
        self.store.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.store.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        self.store.get_ranges(path, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.store.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
