//! A log summed up in one file, so that readers needn't read it from its beginning.
//!
//! Every commit does this by itself when the table's `delta.checkpointInterval` is reached, and then clears away entries
//! past `delta.logRetentionDuration`; a failure of either is logged, and fails no statement.

use deltalake::DeltaTable;
use deltalake::checkpoints::{cleanup_metadata, create_checkpoint};

use crate::error::Result;
use crate::lake::Lake;
use crate::snapshot::Snapshot;

impl Lake {
    /// Writes a checkpoint of the version, and removes the entries of the log that are past retention, unless the
    /// table's `delta.enableExpiredLogCleanup` is off.
    pub async fn checkpoint(&self, snapshot: &Snapshot) -> Result<()> {
        let mut table = DeltaTable::new(snapshot.log_store().clone());
        table.load_version(snapshot.version()).await?;
        create_checkpoint(&table, None).await?;
        if snapshot.properties().get("delta.enableExpiredLogCleanup").is_none_or(|enabled| enabled != "false") {
            cleanup_metadata(&table, None).await?;
        }
        Ok(())
    }
}
