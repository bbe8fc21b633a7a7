//! Object stores: which scheme is whose, what opens a bucket, and the one store of each bucket that all of a process's
//! reads and writes go through.
//!
//! A location is opened with the secret whose scope covers it, found anew for each request: a secret that is replaced
//! or dropped counts at once, and two folders of one bucket may have two secrets.

/// Schemes, and the form of a location under which the lake knows it.
mod scheme;
/// What opens a store: options of secrets, by kind of store.
mod options;
/// The store of one bucket.
mod bucket;
/// Its clients, whose errors are told clearly.
mod told;
/// A put that must not overwrite, settled when its answer is lost.
mod settle;
/// What stores answer, typed and without secrets.
mod fault;

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(feature = "s3")]
mod s3;

pub use fault::{StoreError, StoreFault};
pub use options::{OptionError, StoreOptions, redacted};
pub(crate) use scheme::canonical;
pub use scheme::{StoreKind, scope};

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use datafusion::execution::SessionState;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::Mutex;
use url::Url;

use crate::error::{Error, Result};
use bucket::Bucket;

/// Names the contents of a secret: the same name and version are the same options for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretId {
    pub name: String,
    pub version: u64,
}

/// Where secrets come from; the lake stores none.
pub trait Secrets: Debug + Send + Sync {
    /// The secret of the longest scope that covers `location`.
    fn find(&self, kind: StoreKind, location: &str) -> Option<SecretId>;

    /// What it holds; an error says why that can't be read.
    fn open(&self, secret: &SecretId) -> std::result::Result<StoreOptions, String>;
}

/// The stores of a process. Cheap to clone; clones share everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stores {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    secrets: Option<Arc<dyn Secrets>>,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
}

impl Stores {
    pub fn new(secrets: Arc<dyn Secrets>) -> Stores {
        Stores { inner: Arc::new(Inner { secrets: Some(secrets), buckets: Mutex::default() }) }
    }

    /// The log store of the table at `root`, whose scheme is an object store's.
    pub fn log_store(&self, root: &Url) -> Result<LogStoreRef> {
        log_store_over(self.bucket(root)?, root, &StorageConfig::default())
    }

    /// The store that a location lies in, and its path there.
    pub fn open(&self, location: &Url) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let path = Path::from_url_path(location.path()).map_err(|_| scheme::malformed(location))?;
        Ok((self.bucket(location)?, path))
    }

    /// Lets the plans of a session read at `location`; nothing to do for files of this machine.
    pub fn register(&self, location: &Url, session: &SessionState) -> Result<()> {
        if location.scheme() != "file" {
            session.runtime_env().register_object_store(location, self.bucket(location)?);
        }
        Ok(())
    }

    fn bucket(&self, location: &Url) -> Result<Arc<Bucket>> {
        let kind = StoreKind::of(location).ok_or_else(|| scheme::unknown(location))?;
        kind.check_built()?;
        let name = scheme::bucket_name(location).ok_or_else(|| scheme::malformed(location))?;
        let key = format!("{}://{name}", location.scheme());
        let mut buckets = self.inner.buckets.lock();
        let bucket = buckets
            .entry(key.clone())
            .or_insert_with(|| Arc::new(Bucket::new(kind, key, name.to_owned(), self.inner.secrets.clone())));
        Ok(Arc::clone(bucket))
    }
}

/// The log store of the table at `root` in a store that isn't looked up by its scheme.
pub(crate) fn log_store_over(store: Arc<dyn ObjectStore>, root: &Url, config: &StorageConfig) -> Result<LogStoreRef> {
    let prefixed = config.decorate_store(Arc::clone(&store), root)?;
    Ok(default_logstore(Arc::from(prefixed), store, root, config))
}

impl From<OptionError> for Error {
    fn from(error: OptionError) -> Self {
        Error::InvalidOption { message: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
