//! A transaction block's own view of a table: its log continues in memory, where nobody else sees it.
//!
//! Data files go to the table's folder as always; the entries of the block's statements lie over the log of the version
//! at which the block began, and what others commit by then is hidden. So every statement runs unchanged, and sees
//! those before it. COMMIT makes one entry of them all in the real log.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::object_store::memory::InMemory;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreScheme, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
};
use deltalake::kernel::{Action, CommitInfo};
use deltalake::logstore::{LogStoreRef, ObjectStoreRef, get_actions};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::change::{Operation, discard};
use crate::commit::{self, Entry, PRIVATE_LOG, Reads};
use crate::error::{Error, Result};
use crate::location::LOG_FOLDER;
use crate::snapshot::Snapshot;
use crate::stores::log_store_over;

/// What a table's history calls a block of several statements.
const OPERATION: &str = "TRANSACTION";

/// An open block over one table.
#[derive(Debug)]
pub struct Block {
    base: Snapshot,
    log_store: LogStoreRef,
}

impl Block {
    /// Begins a block at a version of the table.
    ///
    /// # Errors
    /// None to be expected.
    pub fn begin(base: &Snapshot) -> Result<Block> {
        let log_store = base.log_store();
        let internal = |message: String| Error::Internal { message };
        let (_, root) = ObjectStoreScheme::parse(base.location()).map_err(|error| internal(error.to_string()))?;
        let store = PrivateLog {
            inner: log_store.root_object_store(None),
            own: InMemory::new(),
            folder: root.join(LOG_FOLDER),
            base: base.version(),
        };
        let mut options = log_store.config().options().clone();
        options.raw.insert(PRIVATE_LOG.to_owned(), "true".to_owned());
        let log_store = log_store_over(Arc::new(store), log_store.config().location(), &options)?;
        Ok(Block { base: base.clone(), log_store })
    }

    /// The version at which the block began.
    pub fn base(&self) -> &Snapshot {
        &self.base
    }

    /// The table as the block has it now; what is written to it stays in the block.
    ///
    /// # Errors
    /// Those of [`crate::Lake::open`].
    pub async fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::newest(self.base.location().clone(), self.log_store.clone()).await
    }

    /// Makes one entry of all that the block has written, if it has; gives the version.
    ///
    /// # Errors
    /// [`Error::Conflict`], after which nothing of the block is left.
    pub async fn commit(&self) -> Result<u64> {
        let Net { actions, obsolete, written, reads, info, metrics } = self.net().await?;
        let store = self.base.log_store().object_store(None);
        if actions.is_empty() {
            discard(&store, obsolete).await;
            return Ok(self.base.version());
        }
        let actions = actions.into_iter().chain([Action::CommitInfo(info)]).collect();
        let entry = Entry { actions, operation: Operation::Append.of_log(&self.base), metrics, reads };
        match commit::commit(&self.base, entry).await {
            Ok(version) => {
                discard(&store, obsolete).await;
                Ok(version)
            }
            Err(error) => {
                if matches!(error, Error::Conflict { .. }) {
                    discard(&store, written).await;
                }
                Err(error)
            }
        }
    }

    /// Deletes what the block has written.
    pub async fn roll_back(&self) {
        match self.net().await {
            Ok(net) => discard(&self.base.log_store().object_store(None), net.written).await,
            Err(error) => tracing::warn!(%error, "files of a transaction stay, which no version names"),
        }
    }

    async fn net(&self) -> Result<Net> {
        let mut entries = Vec::new();
        let newest = self.log_store.get_latest_version(self.base.version()).await?;
        for version in self.base.version() + 1..=newest {
            let bytes = self.log_store.read_commit_entry(version).await?;
            let missing = || Error::Internal { message: "an entry of the transaction is missing".to_owned() };
            entries.push(get_actions(version, &bytes.ok_or_else(missing)?)?);
        }
        Ok(Net::of(entries, self.base.version()))
    }
}

/// What is left of a block's entries once they are one.
struct Net {
    actions: Vec<Action>,
    /// Files that the block wrote and replaced again, and change files that tell no more than the added files do.
    obsolete: Vec<String>,
    /// Every file that the block wrote.
    written: Vec<String>,
    reads: Reads,
    info: CommitInfo,
    metrics: Value,
}

impl Net {
    fn of(entries: Vec<Vec<Action>>, base: u64) -> Net {
        let mut adds = BTreeMap::new();
        let mut removes = BTreeMap::new();
        let (mut protocol, mut metadata) = (None, None);
        let (mut others, mut changes, mut obsolete, mut infos) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut written = HashSet::new();
        for action in entries.into_iter().flatten() {
            match action {
                Action::Add(add) => {
                    written.insert(add.path.clone());
                    adds.insert(add.path.clone(), add);
                }
                Action::Remove(remove) if adds.remove(&remove.path).is_some() => obsolete.push(remove.path),
                Action::Remove(remove) => {
                    removes.insert(remove.path.clone(), remove);
                }
                Action::Cdc(change) => {
                    written.insert(change.path.clone());
                    changes.push(change);
                }
                Action::CommitInfo(info) => infos.push(info),
                Action::Metadata(action) => metadata = Some(action),
                Action::Protocol(action) => protocol = Some(action),
                other => others.push(other),
            }
        }
        if removes.is_empty() && metadata.is_none() && obsolete.is_empty() {
            // Added files tell the changes by themselves.
            obsolete.extend(changes.drain(..).map(|change| change.path));
        }
        let blind = infos.iter().all(|info| info.is_blind_append == Some(true)) && removes.is_empty();
        let (info, metrics) = combined(infos, blind, base);
        let mut actions: Vec<Action> = protocol.map(Action::Protocol).into_iter().collect();
        actions.extend(metadata.map(Action::Metadata));
        actions.extend(others);
        actions.extend(removes.into_values().map(Action::Remove));
        actions.extend(adds.into_values().map(Action::Add));
        actions.extend(changes.into_iter().map(Action::Cdc));
        let reads = if blind { Reads::Nothing } else { Reads::Table };
        Net { actions, obsolete, written: written.into_iter().collect(), reads, info, metrics }
    }
}

/// What the history says of a block: of a single statement what it would have said outside of one.
fn combined(infos: Vec<CommitInfo>, blind: bool, base: u64) -> (CommitInfo, Value) {
    const METRICS: &str = "operationMetrics";
    let metrics = match infos.as_slice() {
        [info] => info.info.get(METRICS).cloned().unwrap_or_else(|| json!({})),
        infos => {
            let mut sums: BTreeMap<String, u64> = BTreeMap::new();
            for (name, value) in infos.iter().filter_map(|info| info.info.get(METRICS)?.as_object()).flatten() {
                *sums.entry(name.clone()).or_default() += value.as_u64().unwrap_or_default();
            }
            json!(sums)
        }
    };
    let statements: Vec<String> = infos.iter().filter_map(|info| info.operation.clone()).collect();
    let single = infos.len() == 1;
    let mut info = infos.into_iter().next_back().unwrap_or_default();
    if !single {
        info.operation = Some(OPERATION.to_owned());
        info.operation_parameters = Some([("statements".to_owned(), json!(json!(statements).to_string()))].into());
    }
    info.is_blind_append = Some(blind);
    info.read_version = Some(base);
    (info, metrics)
}

/// A store in which the log of one table ends at a version and goes on in memory.
#[derive(Debug)]
struct PrivateLog {
    inner: ObjectStoreRef,
    own: InMemory,
    /// The log's folder.
    folder: Path,
    base: u64,
}

impl PrivateLog {
    fn is_log(&self, path: &Path) -> bool {
        path.prefix_matches(&self.folder)
    }

    /// Whether a file of the log says something of versions after the base, or where the newest are.
    fn is_hidden(&self, path: &Path) -> bool {
        if !self.is_log(path) {
            return false;
        }
        let name = path.filename().unwrap_or_default();
        let version = |part: &str| part.parse::<u64>().ok();
        let mut parts = name.split('.');
        match (parts.next().and_then(version), parts.next().and_then(version)) {
            (Some(first), last) => first.max(last.unwrap_or_default()) > self.base,
            // `_last_checkpoint`, and whatever else has no version.
            (None, _) => true,
        }
    }

    fn missing(path: &Path) -> StoreError {
        StoreError::NotFound { path: path.to_string(), source: "hidden from a transaction".into() }
    }
}

impl fmt::Display for PrivateLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PrivateLog({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for PrivateLog {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> StoreResult<PutResult> {
        if self.is_log(location) {
            return self.own.put_opts(location, payload, options).await;
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        if self.is_log(location) {
            return self.own.put_multipart_opts(location, options).await;
        }
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        if self.is_log(location) {
            match self.own.get_opts(location, options.clone()).await {
                Err(StoreError::NotFound { .. }) if self.is_hidden(location) => return Err(Self::missing(location)),
                Err(StoreError::NotFound { .. }) => {}
                found => return found,
            }
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        let hides = PrivateLog {
            inner: self.inner.clone(),
            own: InMemory::new(),
            folder: self.folder.clone(),
            base: self.base,
        };
        let theirs = self.inner.list(prefix);
        let theirs = theirs.try_filter(move |file| futures::future::ready(!hides.is_hidden(&file.location)));
        // The log is read in the order of names, and the block's entries come after those of its base.
        theirs.chain(self.own.list(prefix)).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        let offset = offset.clone();
        self.list(prefix).try_filter(move |file| futures::future::ready(file.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        let mut listed = self.inner.list_with_delimiter(prefix).await?;
        listed.objects.retain(|file| !self.is_hidden(&file.location));
        listed.objects.extend(self.own.list_with_delimiter(prefix).await?.objects);
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        if self.is_log(from) || self.is_log(to) {
            return Err(StoreError::NotImplemented {
                operation: "copying log entries".to_owned(),
                implementer: self.to_string(),
            });
        }
        self.inner.copy_opts(from, to, options).await
    }
}
