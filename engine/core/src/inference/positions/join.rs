//! JOIN ... ON. A call over one side's columns runs below that side. A call over both sides runs above an inner
//! join, in a filter; outer and semi joins decide by it which rows match, and refuse it.

use std::sync::Arc;

use datafusion::common::{JoinType, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Join, LogicalPlan};

use super::super::call::{contains_call, covered_by, is_volatile, outermost_calls};
use super::super::extract::{Extraction, Scope};
use super::super::lift::{Lifted, lift};
use super::filter::filter_by_calls;
use crate::error::Error;

pub(in super::super) fn join(node: Join, scope: &Scope<'_>, wanted: bool) -> Result<Lifted> {
    let in_keys = node.on.iter().any(|(left, right)| contains_call(left) || contains_call(right));
    let holds_calls = in_keys || node.filter.as_ref().is_some_and(contains_call);
    let left = lift(Arc::unwrap_or_clone(node.left), scope, wanted || holds_calls)?;
    let right = lift(Arc::unwrap_or_clone(node.right), scope, wanted || holds_calls)?;
    let conditions = node.filter.map(split_conjunction_owned).unwrap_or_default();
    let (above, within) = divide(conditions, &left.plan, &right.plan, node.join_type)?;

    let mut on_left = Extraction::new(scope, Arc::clone(left.plan.schema()), &left.known);
    let mut on_right = Extraction::new(scope, Arc::clone(right.plan.schema()), &right.known);
    let guard = match node.join_type {
        // What filters the rows of a side anyway sinks below the call.
        JoinType::Inner => vec![],
        _ => within.iter().filter(|part| !contains_call(part) && !is_volatile(part)).cloned().collect(),
    };
    let guard_of = |side: &LogicalPlan| -> Vec<Expr> {
        let own = guard.iter().filter(|part| covered_by(part, side.schema())).cloned();
        own.map(|part| Expr::IsTrue(Box::new(part))).collect()
    };
    let (guard_left, guard_right) = (guard_of(&left.plan), guard_of(&right.plan));
    let mut keys = vec![];
    for (key_left, key_right) in node.on {
        keys.push((on_left.rewrite(key_left, &guard_left)?, on_right.rewrite(key_right, &guard_right)?));
    }
    let mut filters = vec![];
    for condition in within {
        let condition = on_left.rewrite(condition, &guard_left)?;
        filters.push(on_right.rewrite(condition, &guard_right)?);
    }

    let (plan_left, found_left) = on_left.build(left.plan)?;
    let (plan_right, found_right) = on_right.build(right.plan)?;
    let (keeps_left, keeps_right) = preserved(node.join_type);
    let mut known = vec![];
    if keeps_left {
        known.extend(left.known.into_iter().chain(found_left));
    }
    if keeps_right {
        known.extend(right.known.into_iter().chain(found_right));
    }
    let plan = LogicalPlan::Join(Join::try_new(
        Arc::new(plan_left),
        Arc::new(plan_right),
        keys,
        conjunction(filters),
        node.join_type,
        node.join_constraint,
        node.null_equality,
        node.null_aware,
    )?);
    filter_by_calls(Lifted { plan, known }, above, scope)
}

/// Conditions to be checked above the join, and those the join itself checks.
fn divide(
    conditions: Vec<Expr>,
    left: &LogicalPlan,
    right: &LogicalPlan,
    join_type: JoinType,
) -> Result<(Vec<Expr>, Vec<Expr>)> {
    let (mut above, mut within) = (vec![], vec![]);
    for condition in conditions {
        let one_sided = |call: &&Expr| covered_by(call, left.schema()) || covered_by(call, right.schema());
        match (outermost_calls(&condition)?.iter().all(one_sided), join_type) {
            (true, _) => within.push(condition),
            (false, JoinType::Inner) => above.push(condition),
            (false, _) => {
                return Err(Error::unsupported(format!("a model call over both sides of a {join_type} join"))
                    .with_hint("Use an inner join, or compute the call in a subquery that joins first.")
                    .into());
            }
        }
    }
    Ok((above, within))
}

/// The sides whose rows leave the join as they entered: never filled with NULL, and there at all.
fn preserved(join_type: JoinType) -> (bool, bool) {
    match join_type {
        JoinType::Inner => (true, true),
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (true, false),
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (false, true),
        JoinType::Full => (false, false),
    }
}
