//! The store of one bucket: for each request it takes the client of the secret that covers the path.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as Raw, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::fault::{StoreError, StoreFault};
use super::options::StoreOptions;
use super::scheme::StoreKind;
use super::told::Told;
use super::{SecretId, Secrets, settle};

/// Requests to a bucket that are under way at once; reading an answer's body isn't counted.
const REQUESTS_MAX: usize = 128;
/// Paths of one request to delete.
const DELETED_MAX: usize = 1000;
/// Clients that are kept; with more secrets than that they are made anew.
const CLIENTS_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Bucket {
    kind: StoreKind,
    /// `scheme://name`, without a slash at its end.
    url: String,
    name: String,
    secrets: Option<Arc<dyn Secrets>>,
    clients: Mutex<HashMap<Option<SecretId>, Arc<dyn ObjectStore>>>,
    requests: Semaphore,
}

impl fmt::Display for Bucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}

impl Bucket {
    pub fn new(kind: StoreKind, url: String, name: String, secrets: Option<Arc<dyn Secrets>>) -> Bucket {
        Bucket { kind, url, name, secrets, clients: Mutex::default(), requests: Semaphore::new(REQUESTS_MAX) }
    }

    fn client(&self, path: Option<&Path>) -> Result<Arc<dyn ObjectStore>> {
        let location = format!("{}/{}", self.url, path.map(Path::as_ref).unwrap_or_default());
        let secret = self.secrets.as_ref().and_then(|secrets| secrets.find(self.kind, &location));
        if let Some(client) = self.clients.lock().get(&secret) {
            return Ok(Arc::clone(client));
        }
        let client = self.connect(secret.as_ref()).map_err(|error| error.into_raw(self.kind.name()))?;
        let client: Arc<dyn ObjectStore> =
            Arc::new(Told { client, bucket: self.name.clone(), store: self.kind.name() });
        let mut clients = self.clients.lock();
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(secret, Arc::clone(&client));
        Ok(client)
    }

    fn connect(&self, secret: Option<&SecretId>) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let options = match (secret, &self.secrets) {
            (Some(secret), Some(secrets)) => Some(secrets.open(secret).map_err(|why| {
                StoreError::new(StoreFault::Misconfigured, format!("secret \"{}\" cannot be read: {why}", secret.name))
            })?),
            _ => None,
        };
        connect(self.kind, &self.name, options.as_ref()).map_err(|error| match error {
            Raw::Generic { source, .. } if source.is::<StoreError>() => match source.downcast::<StoreError>() {
                Ok(found) => *found,
                Err(_) => StoreError::new(StoreFault::Misconfigured, "a store could not be made"),
            },
            // Messages of the builders name options and files, not values.
            error => StoreError::new(
                StoreFault::Misconfigured,
                format!("could not make a client for bucket \"{}\": {}", self.name, innermost(&error)),
            ),
        })
    }

    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.requests.acquire().await.ok()
    }
}

fn innermost(error: &Raw) -> String {
    let mut current: &dyn std::error::Error = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

#[allow(unused_variables)]
fn connect(kind: StoreKind, name: &str, options: Option<&StoreOptions>) -> Result<Arc<dyn ObjectStore>> {
    match kind {
        #[cfg(feature = "s3")]
        StoreKind::S3 => super::s3::connect(name, options),
        #[cfg(feature = "azure")]
        StoreKind::Azure => super::azure::connect(name, options),
        #[cfg(feature = "gcs")]
        StoreKind::Gcs => super::gcs::connect(name, options),
        #[allow(unreachable_patterns)]
        kind => {
            Err(StoreError::new(StoreFault::Misconfigured, "this program was built without it").into_raw(kind.name()))
        }
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let client = self.client(Some(path))?;
        let _permit = self.permit().await;
        match options.mode {
            PutMode::Create => settle::create(&client, path, payload, options).await,
            _ => client.put_opts(path, payload, options).await,
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let client = self.client(Some(path))?;
        let _permit = self.permit().await;
        client.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let client = self.client(Some(path))?;
        let _permit = self.permit().await;
        client.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let client = self.client(Some(path))?;
        let _permit = self.permit().await;
        client.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // The stream outlives the borrow of this bucket, and finds its clients later.
        let bucket = Bucket::new(self.kind, self.url.clone(), self.name.clone(), self.secrets.clone());
        paths
            .try_chunks(DELETED_MAX)
            .map(move |chunk| match chunk {
                Ok(paths) => bucket.delete(paths),
                Err(error) => stream::once(async { Err(error.1) }).boxed(),
            })
            .flatten()
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.client(prefix) {
            Ok(client) => client.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.client(prefix) {
            Ok(client) => client.list_with_offset(prefix, offset),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let client = self.client(prefix)?;
        let _permit = self.permit().await;
        client.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let client = self.client(Some(to))?;
        let _permit = self.permit().await;
        client.copy_opts(from, to, options).await
    }
}

impl Bucket {
    /// Deletes paths that may lie under several secrets.
    fn delete(&self, paths: Vec<Path>) -> BoxStream<'static, Result<Path>> {
        let mut groups: Vec<(Arc<dyn ObjectStore>, Vec<Path>)> = Vec::new();
        for path in paths {
            let client = match self.client(Some(&path)) {
                Ok(client) => client,
                Err(error) => return stream::once(async { Err(error) }).boxed(),
            };
            match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &client)) {
                Some((_, group)) => group.push(path),
                None => groups.push((client, vec![path])),
            }
        }
        let deletions = groups
            .into_iter()
            .map(|(client, group)| client.delete_stream(stream::iter(group.into_iter().map(Ok)).boxed()));
        stream::iter(deletions.collect::<Vec<_>>()).flatten().boxed()
    }
}
