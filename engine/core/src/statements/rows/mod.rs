//! What statements that change rows share: the version of the table that they work on, retries, transaction blocks,
//! and what they give back.

mod block;
mod found;
mod row_change;
mod returning;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use alluvia_lake::Snapshot;
use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;

pub(super) use returning::Returning;
pub(super) use row_change::{RowChange, Verb, select_from};

use super::target::{self, Target, check_insertable};
use crate::error::{Error, Kind, Result};
use crate::planning::{Overlay, overlaid};
use crate::session::Session;

/// How often a statement runs that others' changes contradict.
const ATTEMPTS_MAX: u32 = 10;
/// The longest wait before the first repetition; each next one may take twice as long.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// Runs a statement on the newest version of its table; again, when another writer's change contradicts it. In a
/// transaction block the version is the block's own, and nobody comes between.
///
/// # Errors
/// Those of `run`; 40001 when others always came first.
pub(super) async fn retrying<T, F>(session: &Session, target: &Target, run: impl Fn(Snapshot) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    if target::in_block(session) {
        let done = run(block::snapshot(session, target).await?).await?;
        block::show(session, target).await?;
        return Ok(done);
    }
    let entry = target.entry(session)?;
    check_insertable(&entry)?;
    let mut attempt = 0;
    loop {
        let result = run(session.engine.lake.open(&entry.location).await?).await;
        attempt += 1;
        match result {
            Err(error) if error.kind == Kind::SerializationFailure && attempt < ATTEMPTS_MAX => {
                tracing::debug!(%target, attempt, %error, "another writer came between");
                let longest_us = WAIT_MAX.as_micros() as u64 * (1 << attempt.min(6));
                let jitter = RandomState::new().hash_one(attempt) % longest_us.max(1);
                tokio::time::sleep(Duration::from_micros(jitter)).await;
            }
            Err(error) if error.kind == Kind::SerializationFailure => return Err(lost(&error)),
            result => return result,
        }
    }
}

/// As [`retrying`], once.
pub(super) async fn once<T, F>(session: &Session, target: &Target, run: impl FnOnce(Snapshot) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    if target::in_block(session) {
        let done = run(block::snapshot(session, target).await?).await?;
        block::show(session, target).await?;
        return Ok(done);
    }
    let entry = target.entry(session)?;
    check_insertable(&entry)?;
    run(session.engine.lake.open(&entry.location).await?).await
}

fn lost(error: &Error) -> Error {
    let message = "could not serialize access due to concurrent update";
    let error = Error::new(Kind::SerializationFailure, message).with_detail(error.detail.clone().unwrap_or_default());
    error.with_hint(format!("The statement was tried {ATTEMPTS_MAX} times. Run it again when fewer write the table."))
}

/// The table as a statement that is being prepared finds it.
pub(super) async fn newest(session: &Session, target: &Target) -> Result<Snapshot> {
    if let Some(snapshot) = block::current(session, target).await? {
        return Ok(snapshot);
    }
    let entry = target.entry(session)?;
    check_insertable(&entry)?;
    Ok(session.engine.lake.open(&entry.location).await?)
}

/// Checks that a statement may write now, and write this.
pub(super) fn check_writable(session: &Session, target: &Target, verb: &str) -> Result<()> {
    let transaction = session.transaction.lock();
    transaction.check_writable(verb)?;
    transaction.check_target(&target.to_string())
}

/// A state in which the target's name means `snapshot`, whatever others commit while the statement runs, and in which
/// `tables` of the target's schema exist beside.
pub(super) fn pinned(
    state: &SessionState,
    target: &Target,
    snapshot: &Snapshot,
    tables: Vec<(&str, Arc<dyn TableProvider>)>,
) -> Result<SessionState> {
    let overlay = Overlay::default();
    overlay.put(&target.schema, &target.name, provider(state, snapshot)?);
    for (name, table) in tables {
        overlay.put(&target.schema, name, table);
    }
    Ok(overlaid(state, overlay))
}

/// The version as the catalog would open it: with plain text, whatever the planner's default is.
fn provider(state: &SessionState, snapshot: &Snapshot) -> Result<Arc<dyn TableProvider>> {
    let mut state = state.clone();
    state.config_mut().options_mut().execution.parquet.schema_force_view_types = false;
    Ok(snapshot.provider(&state)?)
}
