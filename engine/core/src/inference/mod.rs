//! Model calls in queries: lifted out of the expressions that hold them, run as an operator.
//!
//! A call's way: the SQL planner sees a stub function ([`alluvia_udfs::parse_call`]); [`check`] finds its faults while
//! a statement is prepared; [`lift`] puts an [`node::Inference`] node below the node that holds the call and a column
//! in the call's place; [`planner`] makes it an [`exec::InferenceExec`], which gathers windows of rows, removes
//! duplicates, and hands the rest to the model's scheduler.

/// What a call is, and what else an expression holds that matters to it.
mod call;
/// Finds what is wrong with a call before anything runs.
mod check;
/// Under `ORDER BY ... LIMIT n`, calls that don't decide the order wait until the n rows are known.
mod defer;
/// Calls found in a node's expressions, with the conditions under which rows reach them.
mod extract;
/// The rule: calls become columns of a node below.
mod lift;
/// What the rule does at each kind of node.
mod positions;
/// From what was found to nodes: projections of arguments and guards, with inference above them.
mod stage;

/// The logical node.
mod node;
/// From the logical node to the operator.
mod planner;

/// Inputs without their duplicates.
mod distinct;
/// The operator.
mod exec;
/// Answers of earlier windows.
mod memo;
/// One call over one window of rows.
mod run;
/// What ran: rows of `system.inference_usage`, and the operator's metrics.
mod usage;
/// Rows of input, gathered until a window is full.
mod window;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{AnalyzerRule, Optimizer, OptimizerRule};
use datafusion::physical_planner::ExtensionPlanner;

use crate::models::Models;
pub use usage::{UsageLog, UsageRow};

/// The rule after which every call of a plan is known to be well-formed. It stands last in the analyzer, so that
/// preparing a statement finds what is wrong with it.
pub fn analyzer_rule(models: Arc<Models>) -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(check::CheckCalls::new(models))
}

/// DataFusion's optimizer rules, with ours in their places.
///
/// Calls are lifted once subqueries have become joins (DataFusion can't decorrelate across a node of ours) and before
/// any predicate moves. Projections are trimmed first, so that a call whose result nobody reads is never made.
pub fn optimizer_rules(models: Arc<Models>) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    const LAST_DECORRELATION: &str = "decorrelate_lateral_join";
    let mut rules = Optimizer::new().rules;
    let place = rules.iter().position(|rule| rule.name() == LAST_DECORRELATION).map_or(0, |index| index + 1);
    let ours: [Arc<dyn OptimizerRule + Send + Sync>; 2] =
        [Arc::new(OptimizeProjections::new()), Arc::new(lift::LiftCalls::new(models))];
    rules.splice(place..place, ours);
    rules
}

/// Plans the nodes that [`optimizer_rules`] make.
pub fn extension_planner(models: Arc<Models>, usage: Arc<UsageLog>) -> Arc<dyn ExtensionPlanner + Send + Sync> {
    Arc::new(planner::InferencePlanner::new(models, usage))
}
