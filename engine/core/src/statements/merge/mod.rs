//! `MERGE`: rows of a source matched with those of a table, and the first clause that holds acts on each.
//!
//! 1. The source is kept, so that both steps see the same rows however it was computed.
//! 2. Its rows are joined with the target's (`pairs`). This finds the files that change, the source rows without a
//!    match, and target rows on which two source rows would act.
//! 3. One plan (`rewrite`) gives the rows of those files and the inserted ones, each with what becomes of it; the lake
//!    writes and commits them as one change.

mod clauses;
mod named;
pub(super) mod pairs;
mod queries;
mod rewrite;

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvia_lake::{Change, Changed, Snapshot};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::sql::sqlparser::ast::{Merge, With};
use futures::future::BoxFuture;

use self::clauses::{Action, Clause};
use self::named::{Named, Resolved};
use self::queries::Parameters;
use super::parameters::parameter_types_of;
use super::rows::{check_writable, newest, pinned, retrying};
use super::{Described, Usage};
use crate::error::Result;
use crate::execution::Execution;
use crate::kept::{Chosen, Kept, with_row};
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "MERGE",
    usage: "MERGE [WITH SCHEMA EVOLUTION] INTO <table> [AS <alias>] USING {<table> | (<query>)} [AS <alias>] ON <condition> \
            {WHEN [NOT] MATCHED [BY {SOURCE | TARGET}] [AND <condition>] THEN {UPDATE SET {<column> = <value>, ... | *} | \
            DELETE | INSERT {[(<column>, ...)] VALUES (...) | *} | DO NOTHING}} ...",
};

/// The source's rows may take this part of the memory limit before they are sorted rather than hashed.
const HASHED_SHARE: usize = 8;

pub(super) fn describe<'a>(
    session: &'a Session,
    state: &'a SessionState,
    with: Option<&'a With>,
    merge: &'a Merge,
    declared: &'a [Option<DataType>],
) -> BoxFuture<'a, Result<Described>> {
    Box::pin(described(session, state, with, merge, declared))
}

async fn described(
    session: &Session,
    state: &SessionState,
    with: Option<&With>,
    merge: &Merge,
    declared: &[Option<DataType>],
) -> Result<Described> {
    let named = Named::of(session, with, merge)?;
    let snapshot = newest(session, &named.target).await?;
    let state = &pinned(state, &named.target, &snapshot, vec![])?;
    let source = named.source_plan(session, state).await?;
    let resolved = Resolved::of(&named, &snapshot, source.schema().inner())?;
    let nothing: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(with_row(source.schema().inner())));
    let state = &named.tables(state, &snapshot, None, nothing)?;
    let queries = named.queries(session, state, &Parameters::Unknown);
    let clauses = &resolved.clauses;
    queries.check(clauses).await?;
    let pairs = queries.pairs(clauses).await?;
    let rewritten = rewrite::rewritten(&queries, clauses, &resolved.shape, false).await?;
    let mut plans = vec![source, pairs, rewritten];
    if !clauses.missing.is_empty() {
        plans.push(rewrite::inserted(&queries, clauses, &resolved.shape).await?);
    }
    Ok(Described::write(parameter_types_of(&plans, declared)?))
}

pub(super) fn run<'a>(
    session: &'a Session,
    state: &'a SessionState,
    with: Option<&'a With>,
    merge: &'a Merge,
    parameters: Vec<ScalarValue>,
) -> BoxFuture<'a, Result<Execution>> {
    Box::pin(merged(session, state, with, merge, parameters))
}

async fn merged(
    session: &Session,
    state: &SessionState,
    with: Option<&With>,
    merge: &Merge,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    let named = Named::of(session, with, merge)?;
    check_writable(session, &named.target, "MERGE")?;
    let parameters = Parameters::Known(parameters);
    let changed = retrying(session, &named.target, |snapshot| {
        let (named, parameters) = (&named, &parameters);
        async move {
            let state = pinned(state, &named.target, &snapshot, vec![])?;
            attempt(session, &state, named, snapshot, parameters).await
        }
    });
    let rows = changed.await?.map_or(0, |changed| changed.inserted + changed.updated + changed.deleted);
    Ok(Execution::done(format!("MERGE {rows}")))
}

/// The whole statement on one version of the table; `None` when nothing changes.
async fn attempt(
    session: &Session,
    state: &SessionState,
    named: &Named<'_>,
    snapshot: Snapshot,
    parameters: &Parameters,
) -> Result<Option<Changed>> {
    let source = keep_source(session, state, named, parameters).await?;
    let resolved = Resolved::of(named, &snapshot, &source.1)?;
    let (source, clauses) = (source.0, &resolved.clauses);
    let state = &joining(state, &source);
    let all = named.tables(state, &snapshot, None, source.table(Chosen::All))?;
    let queries = named.queries(session, &all, parameters);
    queries.check(clauses).await?;
    let mut found = pairs::find(&all, queries.pairs(clauses).await?, clauses).await?;
    if clauses.unmatched.iter().any(acts) {
        pairs::files(&all, queries.unmatched_files(clauses).await?, &mut found.files).await?;
    }
    let matched = Arc::new(found.matched);
    let mut plan = None;
    if !found.files.is_empty() {
        let source = source.table(Chosen::Only(Arc::clone(&matched)));
        let state = named.tables(state, &snapshot, Some(&found.files), source)?;
        let queries = named.queries(session, &state, parameters);
        plan = Some(rewrite::rewritten(&queries, clauses, &resolved.shape, found.repeated).await?);
    }
    if clauses.missing.iter().any(acts) && matched.len() < source.rows() {
        let state = named.tables(state, &snapshot, Some(&BTreeSet::new()), source.table(Chosen::Except(matched)))?;
        let queries = named.queries(session, &state, parameters);
        let inserted = rewrite::inserted(&queries, clauses, &resolved.shape).await?;
        plan = match plan {
            Some(rewritten) => Some(rewrite::both(rewritten, inserted)?),
            None => Some(inserted),
        };
    }
    let Some(plan) = plan else { return Ok(None) };
    let mut change = Change::new(plan, named.operation());
    change.replaced = found.files;
    change.added_columns = resolved.added;
    Ok(Some(session.engine.lake.change(&snapshot, change, state).await?))
}

/// The source's rows, and their columns.
async fn keep_source(
    session: &Session,
    state: &SessionState,
    named: &Named<'_>,
    parameters: &Parameters,
) -> Result<(Kept, SchemaRef)> {
    let plan = parameters.set(named.source_plan(session, state).await?)?;
    let rows = pairs::rows(state, plan).await?;
    let schema = rows.schema();
    Ok((Kept::collect(rows, &state.task_ctx()).await?, schema))
}

/// `state`, in which joins sort where a table of the source's rows would take too much of the memory that there is.
fn joining(state: &SessionState, source: &Kept) -> SessionState {
    let mut state = state.clone();
    if let MemoryLimit::Finite(bytes) = state.runtime_env().memory_pool.memory_limit()
        && source.bytes() > bytes / HASHED_SHARE
    {
        state.config_mut().options_mut().optimizer.prefer_hash_join = false;
    }
    state
}

fn acts(clause: &Clause) -> bool {
    !matches!(clause.action, Action::Nothing)
}
