//! `SELECT id, ai_query('m', t) FROM x ORDER BY id LIMIT 10` needs ten answers. The SQL planner computes the select
//! list below the sort; here, calls that the order doesn't depend on move above it, and the sort carries their
//! arguments instead of their results.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr_rewriter::{NamePreserver, replace_col};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Sort};

use super::call::contains_call;
use super::extract::Scope;

/// The plan with calls moved above sorts of which only the first rows are read.
pub(super) fn defer(plan: LogicalPlan, scope: &Scope<'_>) -> Result<LogicalPlan> {
    let moved = plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Limit(mut limit) if limit.fetch.is_some() => {
            let input = defer_below(Arc::unwrap_or_clone(limit.input), scope)?;
            limit.input = Arc::new(input.data);
            Ok(Transformed::new_transformed(LogicalPlan::Limit(limit), input.transformed))
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_some() => split(sort, scope),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(moved.data)
}

/// Looks for the sort through nodes that keep the number and order of rows.
fn defer_below(plan: LogicalPlan, scope: &Scope<'_>) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Sort(sort) => split(sort, scope),
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.map_children(|child| defer_below(child, scope))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Sort over Projection, into Projection over Sort over Projection: the calls in the upper one.
fn split(sort: Sort, scope: &Scope<'_>) -> Result<Transformed<LogicalPlan>> {
    let unchanged = |sort| Ok(Transformed::no(LogicalPlan::Sort(sort)));
    let LogicalPlan::Projection(projection) = sort.input.as_ref() else { return unchanged(sort) };
    if sort.expr.iter().any(|key| contains_call(&key.expr)) {
        return unchanged(sort);
    }
    let outputs = projection.schema.columns();
    let keys: HashSet<&Column> = sort.expr.iter().flat_map(|key| key.expr.column_refs()).collect();
    let deferred: Vec<bool> = projection
        .expr
        .iter()
        .zip(&outputs)
        .map(|(expr, output)| contains_call(expr) && !keys.contains(output))
        .collect();
    if !deferred.contains(&true) {
        return unchanged(sort);
    }

    let mut lower: Vec<Expr> = vec![];
    let mut upper: Vec<Expr> = vec![];
    let mut passed: HashMap<Column, Column> = HashMap::new();
    for ((expr, output), deferred) in projection.expr.iter().zip(&outputs).zip(deferred) {
        if !deferred {
            lower.push(expr.clone());
            upper.push(Expr::Column(output.clone()));
            continue;
        }
        for column in expr.column_refs() {
            passed.entry(column.clone()).or_insert_with(|| scope.hidden("__argument"));
        }
        let name = NamePreserver::new_for_projection().save(expr);
        let map: HashMap<&Column, &Column> = passed.iter().collect();
        upper.push(name.restore(replace_col(expr.clone(), &map)?));
    }
    // In the order of their hidden names, so that equal statements give equal plans.
    let mut arguments: Vec<(&Column, &Column)> = passed.iter().collect();
    arguments.sort_by(|left, right| left.1.cmp(right.1));
    lower.extend(arguments.into_iter().map(|(column, hidden)| Expr::Column(column.clone()).alias(&hidden.name)));

    let lower = LogicalPlan::Projection(Projection::try_new(lower, Arc::clone(&projection.input))?);
    let sorted = LogicalPlan::Sort(Sort { expr: sort.expr.clone(), input: Arc::new(lower), fetch: sort.fetch });
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(upper, Arc::new(sorted))?)))
}
