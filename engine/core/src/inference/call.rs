//! What a model call is, and the questions that lifting asks of an expression.

use alluvia_udfs::{ModelCall, ModelFunction, parse_call};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Whether `expr` itself is a call; one that merely contains a call is not.
pub(super) fn is_call(expr: &Expr) -> bool {
    let named = |name: &str| [ModelFunction::AiQuery, ModelFunction::Embed].iter().any(|own| own.name() == name);
    // A call whose literals are wrong is one all the same: whoever reads it gets the error.
    matches!(expr, Expr::ScalarFunction(function) if named(function.name())) && !matches!(parse_call(expr), Ok(None))
}

/// Whether two calls yield the same for the same row. `embed(t)` and `ai_query('<its model>', t)` do.
pub(super) fn same_call(one: &ModelCall, other: &ModelCall) -> bool {
    one.model == other.model
        && one.fail_on_error == other.fail_on_error
        && one.return_type == other.return_type
        && one.request == other.request
}

/// Whether a call stands in the expression; calls inside its subqueries' plans don't count.
pub(super) fn contains_call(expr: &Expr) -> bool {
    expr.exists(|node| Ok(is_call(node))).unwrap_or(false)
}

/// Whether a node's own expressions hold a call.
pub(super) fn node_contains_call(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let visited = plan.apply_expressions(|expr| {
        found |= contains_call(expr);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    visited.is_ok() && found
}

/// Whether a call stands anywhere in the plan or in its subqueries.
pub(super) fn plan_contains_call(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let visited = plan.apply_with_subqueries(|node| {
        found |= node_contains_call(node);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    visited.is_ok() && found
}

/// Whether two evaluations may differ for reasons of their own. The stubs say of themselves that they are volatile,
/// to keep DataFusion from moving them; a model's answer is not.
pub(super) fn is_volatile(expr: &Expr) -> bool {
    expr.exists(|node| Ok(node.is_volatile_node() && !is_call(node))).unwrap_or(true)
}

/// Whether the expression has one value for the whole statement.
pub(super) fn is_constant(expr: &Expr) -> bool {
    let varies = |node: &Expr| {
        matches!(
            node,
            Expr::Column(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::LambdaVariable(_)
        ) || matches!(node, Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty())
    };
    !is_volatile(expr) && !expr.exists(|node| Ok(varies(node))).unwrap_or(true)
}

/// Whether every column of the expression is one of the schema's.
pub(super) fn covered_by(expr: &Expr, schema: &DFSchema) -> bool {
    expr.column_refs().into_iter().all(|column| schema.has_column(column))
}

/// The outermost calls of an expression, from left to right.
pub(super) fn outermost_calls(expr: &Expr) -> Result<Vec<&Expr>> {
    let mut calls = vec![];
    expr.apply(|node| {
        if is_call(node) {
            calls.push(node);
            return Ok(TreeNodeRecursion::Jump);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(calls)
}

/// The expressions of all columns of a schema.
pub(super) fn all_columns(schema: &DFSchema) -> Vec<Expr> {
    schema.columns().into_iter().map(Expr::Column).collect()
}

/// A column that the planner made up: no SQL text can name it.
pub(super) fn hidden_column(name: String) -> Column {
    Column::new_unqualified(name)
}
