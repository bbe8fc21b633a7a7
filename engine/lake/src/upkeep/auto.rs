//! Compaction without being asked: tables that want it, told to whoever looks after them.
//!
//! A table says so by `delta.autoOptimize.autoCompact`. A commit only tells of it; the work is done later, by a task
//! that no statement waits for.

use datafusion::execution::SessionState;
use tokio::sync::mpsc;
use url::Url;

use super::optimize::{Optimize, Optimized};
use crate::commit::is_private;
use crate::error::Result;
use crate::lake::Lake;
use crate::snapshot::Snapshot;

const PROPERTY: &str = "delta.autoOptimize.autoCompact";
/// Fewer small files in a partition aren't worth it; as Databricks has it.
const SMALL_FILES_MIN: usize = 50;
/// Tables waiting. Any further one is told of by its next commit.
const WAITING_MAX: usize = 256;

impl Lake {
    /// The locations of tables that may want compaction, from now on; asked for again, only by the newest who asked.
    pub fn watch_compactions(&self) -> mpsc::Receiver<Url> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        *self.compactions.lock() = Some(sender);
        receiver
    }

    /// Tells of a commit on `snapshot`.
    pub fn committed(&self, snapshot: &Snapshot) {
        if !wants_compaction(snapshot) || is_private(snapshot.log_store()) {
            return;
        }
        if let Some(watcher) = self.compactions.lock().as_ref() {
            // Full or gone: the next commit tells again.
            let _ = watcher.try_send(snapshot.location().clone());
        }
    }

    /// Compacts the partitions that hold many small files, if the table wants it.
    ///
    /// # Errors
    /// Those of [`Lake::optimize`].
    pub async fn compact_if_wanted(&self, location: &Url, session: &SessionState) -> Result<Option<Optimized>> {
        let snapshot = self.open(location).await?;
        if !wants_compaction(&snapshot) {
            return Ok(None);
        }
        let optimize = Optimize { small_files_min: SMALL_FILES_MIN, auto: true, ..Optimize::default() };
        let compacted = self.optimize(&snapshot, optimize, session).await?;
        Ok(Some(compacted).filter(|compacted| !compacted.added.is_empty()))
    }
}

fn wants_compaction(snapshot: &Snapshot) -> bool {
    let value = snapshot.properties().get(PROPERTY).map(|value| value.to_ascii_lowercase());
    value.is_some_and(|value| value == "true" || value == "auto")
}
