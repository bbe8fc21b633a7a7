//! The first step of a MERGE: which target rows meet which source rows, and so which files change.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt64Type};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;

use super::clauses::{Action, Clauses};
use super::queries::{CLAUSE, FILE, ROW};
use crate::error::{Error, Kind, Result};
use crate::kept::{KEPT_ROW, RowSet};
use crate::planning::apart;

/// What the pairs say.
pub(super) struct Found {
    /// Files that hold a row on which a clause acts.
    pub files: BTreeSet<String>,
    /// Source rows with a match.
    pub matched: RowSet,
    /// Whether a target row has several matches, of which one acts at most.
    pub repeated: bool,
}

/// Reads the pairs of `plan` (see `Queries::pairs`).
///
/// # Errors
/// A target row on which clauses act twice, wherever its pairs lie.
pub(super) async fn find(state: &SessionState, plan: LogicalPlan, clauses: &Clauses) -> Result<Found> {
    let pool = &state.runtime_env().memory_pool;
    let mut found = Found { files: BTreeSet::new(), matched: RowSet::new(pool), repeated: false };
    let (mut met, mut acted) = (RowSet::new(pool), RowSet::new(pool));
    let acts: Vec<bool> = clauses.matched.iter().map(|clause| !matches!(clause.action, Action::Nothing)).collect();
    let mut pairs = rows(state, plan).await?;
    while let Some(batch) = pairs.next().await {
        let batch = batch?;
        let sources = numbers(&batch, KEPT_ROW)?;
        for source in sources {
            found.matched.insert(*source)?;
        }
        if batch.column_by_name(CLAUSE).is_none() {
            continue;
        }
        let (targets, files, chosen) = (numbers(&batch, ROW)?, texts(&batch, FILE)?, clause_numbers(&batch)?);
        for (row, target) in targets.iter().enumerate() {
            found.repeated |= !met.insert(*target)?;
            let Some(clause) = chosen.get(row).copied().flatten() else { continue };
            if !acts.get(clause).copied().unwrap_or_default() {
                continue;
            }
            if !acted.insert(*target)? {
                return Err(second_time());
            }
            if let Some(file) = files.get(row).copied().flatten()
                && !found.files.contains(file)
            {
                found.files.insert(file.to_string());
            }
        }
    }
    Ok(found)
}

/// The files that `plan` names.
pub(in crate::statements) async fn files(
    state: &SessionState,
    plan: LogicalPlan,
    into: &mut BTreeSet<String>,
) -> Result<()> {
    let mut named = rows(state, plan).await?;
    while let Some(batch) = named.next().await {
        let batch = batch?;
        for file in texts(&batch, FILE)?.into_iter().flatten() {
            if !into.contains(file) {
                into.insert(file.to_string());
            }
        }
    }
    Ok(())
}

pub(super) async fn rows(
    state: &SessionState,
    plan: LogicalPlan,
) -> Result<datafusion::execution::SendableRecordBatchStream> {
    let planner = state.clone();
    let plan = apart(async move { Ok(planner.create_physical_plan(&plan).await?) }).await?;
    Ok(execute_stream(plan, state.task_ctx())?)
}

fn second_time() -> Error {
    Error::new(Kind::CardinalityViolation, "MERGE command cannot affect row a second time")
        .with_hint("Ensure that not more than one source row matches any one target row.")
}

fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a [u64]> {
    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt64Type>());
    column.map(|column| column.values().as_ref()).ok_or_else(|| Error::internal(format!("no column {name}")))
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<Vec<Option<&'a str>>> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.map(|column| column.iter().collect()).ok_or_else(|| Error::internal(format!("no column {name}")))
}

fn clause_numbers(batch: &RecordBatch) -> Result<Vec<Option<usize>>> {
    let column = batch.column_by_name(CLAUSE).ok_or_else(|| Error::internal("no column of clauses"))?;
    // Without a clause for matches there is nothing but NULL, which has no type.
    if column.logical_null_count() == column.len() {
        return Ok(vec![None; column.len()]);
    }
    let column = column.as_primitive_opt::<Int64Type>().ok_or_else(|| Error::internal("clauses are no numbers"))?;
    Ok(column.iter().map(|clause| clause.and_then(|clause| usize::try_from(clause).ok())).collect())
}
