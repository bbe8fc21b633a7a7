//! Nodes that pass their input's columns on: ORDER BY, LIMIT, aliases.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{LogicalPlan, Sort, SubqueryAlias};

use super::super::call::contains_call;
use super::super::extract::{Extraction, Known, Scope};
use super::super::lift::{Lifted, lift};
use super::projection::renamed;

pub(in super::super) fn sort(node: Sort, scope: &Scope<'_>, wanted: bool) -> Result<Lifted> {
    let holds_calls = node.expr.iter().any(|key| contains_call(&key.expr));
    let input = lift(Arc::unwrap_or_clone(node.input), scope, wanted || holds_calls)?;
    let mut extraction = Extraction::new(scope, Arc::clone(input.plan.schema()), &input.known);
    let expr = extraction.rewrite_sorts(node.expr, &[])?;
    let (plan, found) = extraction.build(input.plan)?;
    let plan = LogicalPlan::Sort(Sort { expr, input: Arc::new(plan), fetch: node.fetch });
    Ok(Lifted { plan, known: input.known.into_iter().chain(found).collect() })
}

pub(in super::super) fn limit(node: LogicalPlan, scope: &Scope<'_>, wanted: bool) -> Result<Lifted> {
    let mut known = vec![];
    let plan = node.map_children(|child| {
        let lifted = lift(child, scope, wanted)?;
        known = lifted.known;
        Ok(Transformed::yes(lifted.plan))
    })?;
    Ok(Lifted { plan: plan.data, known })
}

pub(in super::super) fn subquery_alias(node: SubqueryAlias, scope: &Scope<'_>, wanted: bool) -> Result<Lifted> {
    let input = lift(Arc::unwrap_or_clone(node.input), scope, wanted)?;
    let below = input.plan.schema().columns();
    let plan = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input.plan), node.alias)?);
    let names: HashMap<Column, Column> = below.into_iter().zip(plan.schema().columns()).collect();
    let rename = |Known { mut call, value, guard }| {
        call.request = renamed(call.request, &names)?;
        Some(Known {
            call,
            value: names.get(&value)?.clone(),
            guard: match guard {
                Some(guard) => Some(names.get(&guard)?.clone()),
                None => None,
            },
        })
    };
    let known = input.known.into_iter().filter_map(rename).collect();
    Ok(Lifted { plan, known })
}
