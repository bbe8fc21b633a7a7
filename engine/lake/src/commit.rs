//! One entry in a table's log, or none.

use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, EagerSnapshot};
use deltalake::logstore::LogStoreRef;
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde_json::json;
use url::Url;

use crate::definition::Definition;
use crate::error::Result;
use crate::writer::Files;

/// Makes version 0: what the table is and the rows it starts with, in one entry.
///
/// # Errors
/// [`crate::Error::Conflict`] when somebody else has made one. No retry: on a second attempt the log library would
/// add these actions to the other table.
pub(crate) async fn create(log_store: LogStoreRef, root: &Url, definition: Definition, files: Files) -> Result<u64> {
    let Definition { protocol, metadata, .. } = definition;
    let mut actions = vec![Action::Protocol(protocol.clone()), Action::Metadata(metadata.clone())];
    let properties = properties(&files).with_max_retries(0);
    actions.extend(files.adds.into_iter().map(Action::Add));
    let location = root.clone();
    let operation = DeltaOperation::Create { mode: SaveMode::ErrorIfExists, location, protocol, metadata };
    commit(log_store, None, actions, operation, properties).await
}

/// Adds files to a table. Appends don't collide with each other: the entry goes to the next free version.
///
/// # Errors
/// [`crate::Error::Conflict`] when the table's schema, constraints or protocol changed since `snapshot`.
pub(crate) async fn append(log_store: LogStoreRef, snapshot: &EagerSnapshot, files: Files) -> Result<u64> {
    let properties = properties(&files);
    let actions = files.adds.into_iter().map(Action::Add).collect();
    let partition_columns = snapshot.metadata().partition_columns().to_vec();
    let operation = DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: (!partition_columns.is_empty()).then_some(partition_columns),
        predicate: None,
    };
    commit(log_store, Some(snapshot), actions, operation, properties).await
}

fn properties(files: &Files) -> CommitProperties {
    let metrics = json!({"num_added_files": files.adds.len(), "num_added_rows": files.rows});
    CommitProperties::default().with_metadata([("operationMetrics".to_owned(), metrics)])
}

async fn commit(
    log_store: LogStoreRef,
    snapshot: Option<&EagerSnapshot>,
    actions: Vec<Action>,
    operation: DeltaOperation,
    properties: CommitProperties,
) -> Result<u64> {
    let reference = snapshot.map(|snapshot| snapshot as &dyn deltalake::kernel::transaction::TableReference);
    let prepared = CommitBuilder::from(properties)
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
