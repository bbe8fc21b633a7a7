//! What a transaction block writes: one table, on a log of its own until COMMIT.

use std::any::Any;
use std::sync::Arc;

use alluvia_lake::{Block, Snapshot};
use async_trait::async_trait;
use url::Url;

use crate::error::Result;
use crate::session::Session;
use crate::statements::new_table::CreatedTable;
use crate::statements::target::{Target, check_insertable};
use crate::transaction::{DeferredWork, PendingWrite, two_targets};

/// The table as the block has it, for the block's next write; begins to write it if need be.
pub(super) async fn snapshot(session: &Session, target: &Target) -> Result<Snapshot> {
    if let Some(snapshot) = current(session, target).await? {
        return Ok(snapshot);
    }
    if let Some(pending) = &session.transaction.lock().pending {
        return Err(two_targets(&pending.target, &target.to_string()));
    }
    let entry = target.entry(session)?;
    check_insertable(&entry)?;
    let block = Arc::new(Block::begin(&session.engine.lake.open(&entry.location).await?)?);
    let snapshot = block.snapshot().await?;
    let work = Box::new(OpenBlock { block });
    session.transaction.lock().pending = Some(PendingWrite { target: target.to_string(), work });
    Ok(snapshot)
}

/// The table as the block has it, if the block has written it.
pub(super) async fn current(session: &Session, target: &Target) -> Result<Option<Snapshot>> {
    match written(session, target) {
        Some(Written::Created(location)) => Ok(Some(session.engine.lake.open(&location).await?)),
        Some(Written::Changed(block)) => Ok(Some(block.snapshot().await?)),
        None => Ok(None),
    }
}

/// Lets the session see what the block has written.
pub(super) async fn show(session: &Session, target: &Target) -> Result<()> {
    if let Some(snapshot) = current(session, target).await? {
        let provider = snapshot.provider(&session.statement_state())?;
        session.overlay.put(&target.schema, &target.name, provider);
    }
    Ok(())
}

enum Written {
    /// A table that the block has made; nobody else knows where it lies.
    Created(Url),
    Changed(Arc<Block>),
}

fn written(session: &Session, target: &Target) -> Option<Written> {
    let transaction = session.transaction.lock();
    let pending = transaction.pending.as_ref().filter(|pending| pending.target == target.to_string())?;
    let work = pending.work.as_any();
    if let Some(open) = work.downcast_ref::<OpenBlock>() {
        return Some(Written::Changed(Arc::clone(&open.block)));
    }
    work.downcast_ref::<CreatedTable>().map(|created| Written::Created(created.table.location.clone()))
}

#[derive(Debug)]
struct OpenBlock {
    block: Arc<Block>,
}

#[async_trait]
impl DeferredWork for OpenBlock {
    async fn commit(self: Box<Self>, session: &Session) -> Result<()> {
        let base = self.block.base().clone();
        self.block.commit().await?;
        session.engine.lake.committed(&base);
        Ok(())
    }

    async fn roll_back(self: Box<Self>, _session: &Session) {
        self.block.roll_back().await;
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
