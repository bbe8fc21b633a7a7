//! Who committed what, and when: the commit information of each entry that the log still has.

use deltalake::logstore::LogStoreRef;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::location::LOG_FOLDER;
use crate::snapshot::Snapshot;

/// Entries read at once.
const READ_AT_ONCE: usize = 8;

/// One entry of a table's log, as its writer describes it. Whatever the writer left out is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogEntry {
    pub version: u64,
    /// Milliseconds since 1970: the writer's own time, or the file's when it gave none.
    pub timestamp_ms: Option<i64>,
    pub user_id: Option<String>,
    pub user_name: Option<String>,
    pub operation: Option<String>,
    /// JSON.
    pub operation_parameters: Option<String>,
    pub read_version: Option<i64>,
    pub isolation_level: Option<String>,
    pub is_blind_append: Option<bool>,
    /// JSON.
    pub operation_metrics: Option<String>,
    pub user_metadata: Option<String>,
    pub engine_info: Option<String>,
}

impl Lake {
    /// The entries up to `snapshot`, newest first, `limit` of them at most. It ends where the log has been cleaned up:
    /// what a checkpoint alone remembers has no commit information.
    pub async fn history(&self, snapshot: &Snapshot, limit: Option<usize>) -> Result<Vec<LogEntry>> {
        let log_store = snapshot.log_store();
        let versions = (0..=snapshot.version()).rev().take(limit.unwrap_or(usize::MAX));
        let entries = stream::iter(versions).map(|version| read(log_store, version)).buffered(READ_AT_ONCE);
        entries
            .try_take_while(|commit| std::future::ready(Ok(commit.is_some())))
            .try_filter_map(|entry| async { Ok(entry) })
            .try_collect()
            .await
    }
}

/// `None` when the entry is gone.
async fn read(log_store: &LogStoreRef, version: u64) -> Result<Option<LogEntry>> {
    let Some(entry) = log_store.read_commit_entry(version).await? else { return Ok(None) };
    let mut commit = LogEntry { version, ..LogEntry::default() };
    // Most writers put it first, and entries of large writes are long.
    for line in entry.split(|byte| *byte == b'\n').filter(|line| names_commit_info(line)) {
        let action: Value = serde_json::from_slice(line).map_err(|error| unreadable(version, &error))?;
        if let Some(info) = action.get("commitInfo") {
            commit = described(version, info);
            break;
        }
    }
    if commit.timestamp_ms.is_none() {
        let path = deltalake::Path::from_iter([LOG_FOLDER, &format!("{version:020}.json")]);
        let file = log_store.object_store(None).head(&path).await;
        commit.timestamp_ms = file.ok().map(|file| file.last_modified.timestamp_millis());
    }
    Ok(Some(commit))
}

fn names_commit_info(line: &[u8]) -> bool {
    line.windows(b"\"commitInfo\"".len()).take(64).any(|window| window == b"\"commitInfo\"")
}

fn described(version: u64, info: &Value) -> LogEntry {
    let text = |key: &str| info.get(key).and_then(Value::as_str).map(str::to_owned);
    let json = |key: &str| info.get(key).filter(|value| !value.is_null()).map(Value::to_string);
    LogEntry {
        version,
        timestamp_ms: info.get("inCommitTimestamp").or_else(|| info.get("timestamp")).and_then(Value::as_i64),
        user_id: text("userId"),
        user_name: text("userName"),
        operation: text("operation"),
        operation_parameters: json("operationParameters"),
        read_version: info.get("readVersion").and_then(Value::as_i64),
        isolation_level: text("isolationLevel"),
        is_blind_append: info.get("isBlindAppend").and_then(Value::as_bool),
        operation_metrics: json("operationMetrics"),
        user_metadata: text("userMetadata"),
        engine_info: text("engineInfo"),
    }
}

fn unreadable(version: u64, error: &serde_json::Error) -> Error {
    Error::Internal { message: format!("entry {version} of the log is no JSON: {error}") }
}
