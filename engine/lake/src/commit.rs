//! One entry in a table's log, or none.
//!
//! An entry goes to the version after the newest. When other writers came between, what they did is compared with what
//! this entry has read and removes; only an entry that would be the same on the newest version goes on. The library's
//! own comparison isn't asked: it parses the statement's predicate with functions of its own, lets an append conflict
//! with a deletion, and lets a deletion pass beside a compaction of the same file.

use std::collections::HashSet;

use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, EagerSnapshot};
use deltalake::logstore::{LogStoreRef, get_actions};
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::definition::Definition;
use crate::error::{Error, Result};
use crate::snapshot::Snapshot;
use crate::writer::Files;

/// How often an entry that nobody contradicts looks for a free version.
const ATTEMPTS_MAX: usize = 50;
/// The log store option that marks the private log of a transaction block (see `block`).
pub(crate) const PRIVATE_LOG: &str = "alluvia.private_log";

/// What an entry depends on, beside the table's definition and the files that it removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reads {
    /// A blind append.
    Nothing,
    /// The files that it removes, and no others: it writes the same rows in other files.
    Removed,
    /// The table: any change of its rows is a conflict, blind appends excepted. Those count as having come after,
    /// unless the table's isolation level is `Serializable`.
    Table,
}

/// What is to be written to the log.
pub(crate) struct Entry {
    pub actions: Vec<Action>,
    /// For the table's history alone: its predicates may be in any language.
    pub operation: DeltaOperation,
    pub metrics: Value,
    pub reads: Reads,
}

/// Makes version 0: what the table is and the rows it starts with, in one entry.
///
/// # Errors
/// [`Error::Conflict`] when somebody else has made one. No retry: on a second attempt the log library would
/// add these actions to the other table.
pub(crate) async fn create(log_store: LogStoreRef, root: &Url, definition: Definition, files: Files) -> Result<u64> {
    let Definition { protocol, metadata, .. } = definition;
    let mut actions = vec![Action::Protocol(protocol.clone()), Action::Metadata(metadata.clone())];
    let metrics = json!({"numFiles": files.adds.len(), "numOutputRows": files.rows});
    actions.extend(files.adds.into_iter().map(Action::Add));
    let location = root.clone();
    let operation = DeltaOperation::Create { mode: SaveMode::ErrorIfExists, location, protocol, metadata };
    let metadata = [("operationMetrics".to_owned(), metrics), identifier()];
    let properties = CommitProperties::default().with_metadata(metadata);
    write(log_store, None, actions, operation, properties).await
}

/// Adds an entry to the log of the table that `snapshot` is a version of; gives its version.
///
/// # Errors
/// [`Error::Conflict`] when another writer came between whose change contradicts this one; [`Error::AppendOnly`].
pub(crate) async fn commit(snapshot: &Snapshot, entry: Entry) -> Result<u64> {
    let log_store = snapshot.log_store();
    let mut base = snapshot.state().clone();
    for _ in 0..ATTEMPTS_MAX {
        let newest = log_store.get_latest_version(base.version()).await?;
        if newest > base.version() {
            for version in base.version() + 1..=newest {
                compare(&entry, version, log_store, serializable(snapshot)).await?;
            }
            base = EagerSnapshot::try_new(log_store.as_ref(), Some(newest)).await?;
        }
        let properties = properties(&entry, snapshot);
        let (actions, operation) = (entry.actions.clone(), entry.operation.clone());
        match write(log_store.clone(), Some(&base), actions, operation, properties).await {
            Err(Error::Conflict { .. }) => {}
            result => return result,
        }
    }
    Err(Error::Conflict { message: "Other writers took every version.".to_owned() })
}

fn serializable(snapshot: &Snapshot) -> bool {
    snapshot.properties().get("delta.isolationLevel").is_some_and(|level| level.eq_ignore_ascii_case("serializable"))
}

/// Holds `entry` against what another writer has put into the log as `version`.
async fn compare(entry: &Entry, version: u64, log_store: &LogStoreRef, serializable: bool) -> Result<()> {
    let bytes = log_store.read_commit_entry(version).await?;
    let bytes = bytes.ok_or_else(|| conflict(version, "is no longer in the log"))?;
    let theirs = get_actions(version, &bytes)?;
    let redefines = |action: &Action| matches!(action, Action::Metadata(_) | Action::Protocol(_));
    if theirs.iter().any(redefines) {
        return Err(conflict(version, "changed the table's definition"));
    }
    let applications = |actions: &[Action]| -> HashSet<String> {
        let named = actions.iter().filter_map(|action| match action {
            Action::Txn(transaction) => Some(transaction.app_id.clone()),
            _ => None,
        });
        named.collect()
    };
    if !applications(&entry.actions).is_disjoint(&applications(&theirs)) {
        return Err(conflict(version, "came from the same application"));
    }
    let ours: HashSet<&str> = entry.actions.iter().filter_map(removed).collect();
    if theirs.iter().filter_map(removed).any(|path| ours.contains(path)) {
        return Err(conflict(version, "replaced files that this statement replaces"));
    }
    if entry.reads != Reads::Table {
        return Ok(());
    }
    let adds = theirs.iter().any(|action| matches!(action, Action::Add(add) if add.data_change));
    let removes = theirs.iter().any(|action| matches!(action, Action::Remove(remove) if remove.data_change));
    // A new definition must hold for rows that came by then, blindly or not.
    let spares_appends = !serializable && !entry.actions.iter().any(redefines);
    if removes || adds && !(spares_appends && is_blind_append(&theirs)) {
        return Err(conflict(version, "changed rows that this statement has read"));
    }
    Ok(())
}

fn conflict(version: u64, what: &str) -> Error {
    Error::Conflict { message: format!("Version {version} {what}.") }
}

fn removed(action: &Action) -> Option<&str> {
    match action {
        Action::Remove(remove) => Some(&remove.path),
        _ => None,
    }
}

/// Whether the writer says that it read nothing.
fn is_blind_append(actions: &[Action]) -> bool {
    let says = |action: &Action| matches!(action, Action::CommitInfo(info) if info.is_blind_append == Some(true));
    actions.iter().any(says) && actions.iter().all(|action| removed(action).is_none())
}

/// Tells two entries apart that say the same: one whose answer was lost is known again by its bytes.
fn identifier() -> (String, Value) {
    ("txnId".to_owned(), json!(Uuid::new_v4()))
}

fn properties(entry: &Entry, snapshot: &Snapshot) -> CommitProperties {
    let level = if serializable(snapshot) { "Serializable" } else { "WriteSerializable" };
    let properties = CommitProperties::default()
        .with_metadata([
            ("operationMetrics".to_owned(), entry.metrics.clone()),
            ("isBlindAppend".to_owned(), json!(entry.reads == Reads::Nothing)),
            ("isolationLevel".to_owned(), json!(level)),
            ("readVersion".to_owned(), json!(snapshot.version())),
            identifier(),
        ])
        .with_max_retries(0);
    if is_private(snapshot.log_store()) {
        return properties.with_create_checkpoint(false).with_cleanup_expired_logs(Some(false));
    }
    properties
}

/// Whether a log is that of an open transaction block.
pub(crate) fn is_private(log_store: &LogStoreRef) -> bool {
    log_store.config().options().raw.contains_key(PRIVATE_LOG)
}

async fn write(
    log_store: LogStoreRef,
    snapshot: Option<&EagerSnapshot>,
    actions: Vec<Action>,
    operation: DeltaOperation,
    properties: CommitProperties,
) -> Result<u64> {
    let reference = snapshot.map(|snapshot| snapshot as &dyn deltalake::kernel::transaction::TableReference);
    let prepared = CommitBuilder::from(properties.with_max_retries(0))
        .with_actions(actions)
        .build(reference, log_store, operation)
        .into_prepared_commit_future()
        .await?;
    let committed = prepared.await?;
    let version = committed.version;
    // The commit stands from here on: a checkpoint that fails must not make the statement fail.
    if let Err(error) = committed.await {
        tracing::warn!(version, %error, "could not tidy the log after a commit");
    }
    Ok(version)
}
