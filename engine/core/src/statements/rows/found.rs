//! The rows that a statement changes, found in one pass: their places, and the values that they get.

use std::collections::BTreeMap;

use alluvia_lake::{FILE, Keeper, Kept, ROW};
use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use datafusion::common::ScalarValue;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::physical_plan::{collect, execute_stream};
use futures::TryStreamExt;

use crate::error::{Error, Kind, Result};
use crate::planning::apart;

/// Rows that were found.
pub(super) struct Found {
    pub rows: Kept,
    /// How many there are of each file.
    pub of_file: BTreeMap<i32, u64>,
}

impl Found {
    /// Runs `plan`, whose first columns are [`FILE`] and [`ROW`].
    pub async fn by(plan: LogicalPlan, state: &SessionState) -> Result<Found> {
        let planner = state.clone();
        let planned = apart(async move { Ok(planner.create_physical_plan(&plan).await?) }).await?;
        let mut stream = execute_stream(planned, state.task_ctx())?;
        let mut keeper = Keeper::new(stream.schema(), state.runtime_env().clone());
        let mut of_file = BTreeMap::new();
        while let Some(batch) = stream.try_next().await? {
            let files = batch.columns().first().and_then(|files| files.as_primitive_opt::<Int32Type>());
            let files = files.ok_or_else(|| Error::internal("rows were found without their files"))?;
            for file in files.values() {
                *of_file.entry(*file).or_default() += 1;
            }
            keeper.put(batch)?;
        }
        Ok(Found { rows: keeper.finish()?, of_file })
    }

    /// Refuses rows that were found more than once, with different values.
    pub async fn refuse_twice(&self, state: &SessionState) -> Result<()> {
        let twice = LogicalPlanBuilder::scan("found", provider_as_source(self.rows.provider()?), None)?
            .aggregate(vec![col(FILE), col(ROW)], vec![count(lit(1i64)).alias("times")])?
            .filter(col("times").gt(lit(ScalarValue::Int64(Some(1)))))?
            .limit(0, Some(1))?
            .build()?;
        let planned = state.create_physical_plan(&twice).await?;
        let rows = collect(planned, state.task_ctx()).await?;
        if rows.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(());
        }
        Err(Error::new(Kind::CardinalityViolation, "UPDATE command cannot affect row a second time with other values")
            .with_hint("Ensure that each row of the table joins with one row of FROM, or with several that agree."))
    }
}
