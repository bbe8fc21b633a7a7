//! The rule: every call in a plan becomes a column of an inference node below the node that holds it.
//!
//! Plans are rewritten from the leaves up. A node's rewritten plan has the node's own columns, and may have hidden
//! ones besides: results of calls below, which nodes above use instead of calling again. Where a plan ends (at the
//! root, below UNION and the like) hidden columns are cut off.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{LogicalPlan, Projection};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::call::{node_contains_call, plan_contains_call};
use super::defer::defer;
use super::extract::{Known, Scope};
use super::positions;
use crate::error::Error;
use crate::models::Models;

#[derive(Debug)]
pub(super) struct LiftCalls {
    models: Arc<Models>,
}

impl LiftCalls {
    pub fn new(models: Arc<Models>) -> Self {
        Self { models }
    }
}

impl OptimizerRule for LiftCalls {
    fn name(&self) -> &str {
        "lift_model_calls"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !plan_contains_call(&plan) {
            return Ok(Transformed::no(plan));
        }
        let scope = Scope { models: &self.models, names: config.alias_generator() };
        let plan = defer(plan, &scope)?;
        Ok(Transformed::yes(lift_whole(plan, &scope)?))
    }
}

/// A rewritten plan, and the calls whose results are among its columns.
pub(super) struct Lifted {
    pub plan: LogicalPlan,
    pub known: Vec<Known>,
}

impl Lifted {
    pub fn plain(plan: LogicalPlan) -> Self {
        Self { plan, known: vec![] }
    }
}

/// Rewrites a plan and leaves it exactly the columns it had.
pub(super) fn lift_whole(plan: LogicalPlan, scope: &Scope<'_>) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    only(lift(plan, scope, false)?.plan, &schema)
}

/// Rewrites a plan. `wanted`: a node above, with nothing between that cuts hidden columns off, holds calls too.
pub(super) fn lift(plan: LogicalPlan, scope: &Scope<'_>, wanted: bool) -> Result<Lifted> {
    let in_subquery = |subquery| Ok(Transformed::yes(lift_whole(subquery, scope)?));
    let plan = plan.map_uncorrelated_subqueries(in_subquery)?.data;
    match plan {
        LogicalPlan::Projection(node) => positions::projection(node, scope, wanted),
        LogicalPlan::Filter(node) => positions::filter(node, scope, wanted),
        LogicalPlan::Sort(node) => positions::sort(node, scope, wanted),
        LogicalPlan::Join(node) => positions::join(node, scope, wanted),
        LogicalPlan::SubqueryAlias(node) => positions::subquery_alias(node, scope, wanted),
        LogicalPlan::Aggregate(node) if node_contains_call(&LogicalPlan::Aggregate(node.clone())) => {
            positions::aggregate(node, scope)
        }
        LogicalPlan::Window(node) => positions::window(node, scope, wanted),
        LogicalPlan::Values(node) if node_contains_call(&LogicalPlan::Values(node.clone())) => {
            lift(positions::values(node)?, scope, wanted)
        }
        LogicalPlan::Limit(_) if !node_contains_call(&plan) => positions::limit(plan, scope, wanted),
        // A correlated subquery that didn't become a join can't be planned; DataFusion says so itself.
        LogicalPlan::Subquery(ref node) if !node.outer_ref_columns.is_empty() => Ok(Lifted::plain(plan)),
        other if node_contains_call(&other) => Err(refused(&other).into()),
        other => Ok(Lifted::plain(other.map_children(|child| Ok(Transformed::yes(lift_whole(child, scope)?)))?.data)),
    }
}

/// The plan with these columns and no others, in this order.
pub(super) fn only(plan: LogicalPlan, schema: &DFSchema) -> Result<LogicalPlan> {
    let same = plan.schema().fields().len() == schema.fields().len()
        && plan
            .schema()
            .iter()
            .zip(schema.iter())
            .all(|(own, other)| own.0 == other.0 && own.1.name() == other.1.name());
    if same {
        return Ok(plan);
    }
    Ok(LogicalPlan::Projection(Projection::try_new(super::call::all_columns(schema), Arc::new(plan))?))
}

fn refused(plan: &LogicalPlan) -> Error {
    let place = match plan {
        LogicalPlan::Limit(_) => "in LIMIT or OFFSET",
        LogicalPlan::Repartition(_) => "in a partitioning",
        LogicalPlan::TableScan(_) => "in a table scan",
        LogicalPlan::Distinct(_) => "in DISTINCT ON",
        LogicalPlan::Dml(_) => "in this data change",
        _ => "in this place",
    };
    Error::unsupported(format!("a model call {place}"))
        .with_hint("Compute the call in a subquery, and use its column here.")
}
