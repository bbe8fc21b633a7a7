//! A client whose errors say what is wrong, without what is secret.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as Raw, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use super::fault::translate;

#[derive(Debug)]
pub(super) struct Told {
    pub client: Arc<dyn ObjectStore>,
    pub bucket: String,
    pub store: &'static str,
}

impl Told {
    fn told(&self) -> impl Fn(Raw) -> Raw + Send + Sync + 'static {
        let (bucket, store) = (self.bucket.clone(), self.store);
        move |error| translate(&bucket, store, error)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.bucket)
    }
}

#[async_trait]
impl ObjectStore for Told {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.client.put_opts(path, payload, options).await.map_err(self.told())
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.client.put_multipart_opts(path, options).await.map_err(self.told())?;
        Ok(Box::new(Upload { upload, bucket: self.bucket.clone(), store: self.store }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.client.get_opts(path, options).await.map_err(self.told())?;
        if let GetResultPayload::Stream(body) = found.payload {
            found.payload = GetResultPayload::Stream(body.map_err(self.told()).boxed());
        }
        Ok(found)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.client.get_ranges(path, ranges).await.map_err(self.told())
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.client.delete_stream(paths).map_err(self.told()).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.client.list(prefix).map_err(self.told()).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.client.list_with_offset(prefix, offset).map_err(self.told()).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.client.list_with_delimiter(prefix).await.map_err(self.told())
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.client.copy_opts(from, to, options).await.map_err(self.told())
    }
}

#[derive(Debug)]
struct Upload {
    upload: Box<dyn MultipartUpload>,
    bucket: String,
    store: &'static str,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, bucket, store) = (self.upload.put_part(data), self.bucket.clone(), self.store);
        Box::pin(async move { part.await.map_err(|error| translate(&bucket, store, error)) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.upload.complete().await.map_err(|error| translate(&self.bucket, self.store, error))
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await.map_err(|error| translate(&self.bucket, self.store, error))
    }
}
