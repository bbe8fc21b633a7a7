//! GROUP BY, aggregate arguments, FILTER, and window functions. Their output columns are named after their
//! expressions, so that names are restored by position.

use std::sync::Arc;

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection, Window};

use super::super::call::{all_columns, contains_call};
use super::super::extract::{Extraction, Scope};
use super::super::lift::{Lifted, lift};
use super::projection::carry;

pub(in super::super) fn aggregate(node: Aggregate, scope: &Scope<'_>) -> Result<Lifted> {
    let input = lift(Arc::unwrap_or_clone(node.input), scope, true)?;
    let mut extraction = Extraction::new(scope, Arc::clone(input.plan.schema()), &input.known);
    let group_expr = extraction.rewrite_all(node.group_expr, &[])?;
    let aggr_expr = extraction.rewrite_all(node.aggr_expr, &[])?;
    let (plan, _) = extraction.build(input.plan)?;
    let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(plan), group_expr, aggr_expr)?);
    let exprs = named(all_columns(plan.schema()), &node.schema);
    Ok(Lifted::plain(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?)))
}

pub(in super::super) fn window(node: Window, scope: &Scope<'_>, wanted: bool) -> Result<Lifted> {
    let holds_calls = node.window_expr.iter().any(contains_call);
    let below_count = node.input.schema().fields().len();
    let input = lift(Arc::unwrap_or_clone(node.input), scope, wanted || holds_calls)?;
    let mut extraction = Extraction::new(scope, Arc::clone(input.plan.schema()), &input.known);
    let window_expr = extraction.rewrite_all(node.window_expr, &[])?;
    let (plan, found) = extraction.build(input.plan)?;
    let passed_count = plan.schema().fields().len();
    let plan = LogicalPlan::Window(Window::try_new(window_expr, Arc::new(plan))?);
    if !holds_calls {
        return Ok(Lifted { plan, known: input.known });
    }
    let mut columns: Vec<Expr> = all_columns(&node.schema).into_iter().take(below_count).collect();
    columns.extend(all_columns(plan.schema()).into_iter().skip(passed_count));
    let mut exprs = named(columns, &node.schema);
    let known = if wanted { carry(input.known.into_iter().chain(found), &mut exprs) } else { vec![] };
    let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
    Ok(Lifted { plan, known })
}

/// The columns under the names of `schema`.
fn named(columns: Vec<Expr>, schema: &DFSchema) -> Vec<Expr> {
    let name = |(column, (qualifier, field)): (Expr, (Option<&_>, &Arc<arrow::datatypes::Field>))| {
        if column.qualified_name() == (qualifier.cloned(), field.name().clone()) {
            column
        } else {
            column.alias_qualified(qualifier.cloned(), field.name())
        }
    };
    columns.into_iter().zip(schema.iter()).map(name).collect()
}
