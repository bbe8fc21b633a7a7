//! The select list.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};

use super::super::call::contains_call;
use super::super::extract::{Extraction, Known, Scope};
use super::super::lift::{Lifted, lift};

pub(in super::super) fn projection(node: Projection, scope: &Scope<'_>, wanted: bool) -> Result<Lifted> {
    let holds_calls = node.expr.iter().any(contains_call);
    let input = lift(Arc::unwrap_or_clone(node.input), scope, wanted || holds_calls)?;
    let names = NamePreserver::new_for_projection();
    let mut extraction = Extraction::new(scope, Arc::clone(input.plan.schema()), &input.known);
    let mut exprs = vec![];
    for expr in node.expr {
        let name = names.save(&expr);
        exprs.push(name.restore(extraction.rewrite(expr, &[])?));
    }
    let (plan, found) = extraction.build(input.plan)?;
    let known = if wanted { carry(input.known.into_iter().chain(found), &mut exprs) } else { vec![] };
    let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
    Ok(Lifted { plan, known })
}

/// Adds hidden columns to a select list for the calls that can still be written above it: those whose columns it
/// passes on, under whatever name.
pub(super) fn carry(known: impl Iterator<Item = Known>, exprs: &mut Vec<Expr>) -> Vec<Known> {
    let mut passed: HashMap<Column, Column> = HashMap::new();
    for expr in exprs.iter() {
        if let Expr::Column(column) = expr.clone().unalias() {
            let (relation, name) = expr.qualified_name();
            passed.entry(column).or_insert_with(|| Column::new(relation, name));
        }
    }
    let mut carried = vec![];
    for Known { mut call, value, guard } in known {
        let Some(request) = renamed(call.request, &passed) else { continue };
        call.request = request;
        for column in std::iter::once(&value).chain(&guard) {
            if passed.get(column) != Some(column) {
                exprs.push(Expr::Column(column.clone()));
                passed.insert(column.clone(), column.clone());
            }
        }
        carried.push(Known { call, value, guard });
    }
    carried
}

/// The expression over new names of its columns; none when one has no new name.
pub(super) fn renamed(expr: Expr, names: &HashMap<Column, Column>) -> Option<Expr> {
    if !expr.column_refs().iter().all(|column| names.contains_key(column)) {
        return None;
    }
    let rename = |node: Expr| match &node {
        Expr::Column(column) => match names.get(column) {
            Some(name) => Ok(Transformed::yes(Expr::Column(name.clone()))),
            None => Ok(Transformed::no(node)),
        },
        _ => Ok(Transformed::no(node)),
    };
    expr.transform(rename).ok().map(|renamed| renamed.data)
}
