//! WHERE and HAVING. Conditions without calls come first. Those with calls follow one by one, the cheapest model
//! first, each on the rows that the ones before it left.

use std::collections::HashSet;
use std::sync::Arc;

use alluvia_inference::Kind;
use alluvia_udfs::parse_call;
use datafusion::common::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan};

use super::super::call::{contains_call, is_constant, outermost_calls, same_call};
use super::super::extract::{Extraction, Known, Scope};
use super::super::lift::{Lifted, lift};

pub(in super::super) fn filter(node: Filter, scope: &Scope<'_>, wanted: bool) -> Result<Lifted> {
    let holds_calls = contains_call(&node.predicate);
    let input = lift(Arc::unwrap_or_clone(node.input), scope, wanted || holds_calls)?;
    if !holds_calls {
        let plan = LogicalPlan::Filter(Filter::try_new(node.predicate, Arc::new(input.plan))?);
        return Ok(Lifted { plan, known: input.known });
    }
    let conditions = split_conjunction_owned(node.predicate);
    let (calls, cheap): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(contains_call);
    let mut lifted = input;
    if let Some(predicate) = conjunction(cheap) {
        lifted.plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(lifted.plan))?);
    }
    filter_by_calls(lifted, calls, scope)
}

/// Filters by conditions all of which hold calls.
pub(super) fn filter_by_calls(input: Lifted, mut conditions: Vec<Expr>, scope: &Scope<'_>) -> Result<Lifted> {
    let Lifted { mut plan, mut known } = input;
    while let Some(cheapest) = cheapest(&conditions, &known, scope)? {
        let condition = conditions.remove(cheapest);
        let mut extraction = Extraction::new(scope, Arc::clone(plan.schema()), &known);
        let predicate = extraction.rewrite(condition, &[])?;
        let (staged, found) = extraction.build(plan)?;
        plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(staged))?);
        known.extend(found);
    }
    Ok(Lifted { plan, known })
}

/// The first condition that no other clearly undercuts.
fn cheapest(conditions: &[Expr], known: &[Known], scope: &Scope<'_>) -> Result<Option<usize>> {
    // Costs are guesses; where they are near each other, the order in which the conditions are written decides.
    const CLEARLY: u64 = 4;
    let costs = conditions.iter().map(|condition| cost(condition, known, scope)).collect::<Result<Vec<u64>>>()?;
    let least = costs.iter().copied().min().unwrap_or(0);
    Ok(costs.iter().position(|cost| *cost <= least.saturating_mul(CLEARLY)))
}

/// What a row costs, in bytes of weights read: a text model reads all of them for every token.
fn cost(condition: &Expr, known: &[Known], scope: &Scope<'_>) -> Result<u64> {
    const TOKENS_PER_TEXT: u64 = 64;
    let mut cost = 0_u64;
    let mut seen: HashSet<&Expr> = HashSet::new();
    let mut pending = outermost_calls(condition)?;
    while let Some(expr) = pending.pop() {
        let Some(model_call) = parse_call(expr)? else { continue };
        let free = known.iter().any(|known| same_call(&known.call, &model_call)) || is_constant(&model_call.request);
        if free || !seen.insert(expr) {
            continue;
        }
        let spec = &scope.models.entry(&model_call.model)?.spec;
        let per_row = match spec.kind {
            Kind::Graph => spec.size_bytes,
            Kind::Encoder | Kind::Classifier => spec.size_bytes.saturating_mul(TOKENS_PER_TEXT),
        };
        cost = cost.saturating_add(per_row.max(1));
        if let Expr::ScalarFunction(function) = expr {
            for arg in &function.args {
                pending.extend(outermost_calls(arg)?);
            }
        }
    }
    Ok(cost)
}
