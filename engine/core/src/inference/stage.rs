//! From what was found to nodes. Each stage is a projection that adds arguments and guards as hidden columns, and an
//! inference node that adds results; a call whose argument or guard holds another call's result is a stage later.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvia_udfs::ModelCall;
use arrow::datatypes::FieldRef;
use datafusion::common::{Column, DFSchema, Result, Spans};
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, Projection, Subquery};

use super::call::{self, all_columns};
use super::extract::{Extraction, Found, Known, Scope};
use super::node::{Call, Inference};

impl Extraction<'_> {
    /// The input with a hidden column for every call found, and what it thereby knows.
    pub fn build(self, input: LogicalPlan) -> Result<(LogicalPlan, Vec<Known>)> {
        let (call_levels, value_levels) = self.levels();
        let levels: BTreeSet<usize> = call_levels.iter().chain(&value_levels).copied().collect();
        let mut plan = input;
        let mut known = vec![];
        for level in levels {
            let mut stage = Stage { scope: self.scope, added: vec![] };
            for (settled, _) in self.settled.iter().zip(&value_levels).filter(|(_, at)| **at == level) {
                stage.added.push((settled.expr.clone(), settled.column.clone()));
            }
            let mut calls = vec![];
            for (found, _) in self.found.iter().zip(&call_levels).filter(|(_, at)| **at == level) {
                let request = stage.column(found.call.request.clone(), "__request");
                let guard = guard_of(found).map(|guard| stage.column(guard, "__guard"));
                known.extend(remembered(found, guard.as_ref()));
                calls.push(new_call(self.scope, found, request, guard)?);
            }
            plan = stage.project(plan)?;
            if !calls.is_empty() {
                plan = Inference::plan(plan, calls)?;
            }
        }
        Ok((plan, known))
    }
}

/// A call that has one value for the whole statement, as a subquery of one row: it runs once, when the statement
/// runs, and what reads it sees a constant.
pub(super) fn constant(scope: &Scope<'_>, call: ModelCall, field: FieldRef, shown: String) -> Result<Expr> {
    // Names are the same in every such subquery, so that equal calls are equal plans, which DataFusion runs once.
    let (request, value) = ("__constant_request", "__constant_call");
    let row = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, schema: Arc::new(DFSchema::empty()) });
    let row = LogicalPlan::Projection(Projection::try_new(vec![call.request.clone().alias(request)], Arc::new(row))?);
    let column = call::hidden_column(value.into());
    let found = Found { call, shown, field, column: column.clone(), alternatives: None, before: None };
    let calls = vec![new_call(scope, &found, call::hidden_column(request.into()), None)?];
    let inference = Inference::plan(row, calls)?;
    let plan = LogicalPlan::Projection(Projection::try_new(vec![Expr::Column(column)], Arc::new(inference))?);
    Ok(Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), outer_ref_columns: vec![], spans: Spans::new() }))
}

/// The columns one stage adds before its calls run.
struct Stage<'a> {
    scope: &'a Scope<'a>,
    added: Vec<(Expr, Column)>,
}

impl Stage<'_> {
    /// A column that holds the expression: one that is there, or a new one.
    fn column(&mut self, expr: Expr, what: &str) -> Column {
        if let Expr::Column(column) = expr {
            return column;
        }
        if let Some((_, column)) = self.added.iter().find(|(added, _)| *added == expr && !call::is_volatile(&expr)) {
            return column.clone();
        }
        let column = self.scope.hidden(what);
        self.added.push((expr, column.clone()));
        column
    }

    fn project(self, plan: LogicalPlan) -> Result<LogicalPlan> {
        if self.added.is_empty() {
            return Ok(plan);
        }
        let mut exprs = all_columns(plan.schema());
        exprs.extend(self.added.into_iter().map(|(expr, column)| expr.alias(column.name)));
        Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
    }
}

fn new_call(scope: &Scope<'_>, found: &Found, request: Column, guard: Option<Column>) -> Result<Call> {
    let entry = scope.models.entry(&found.call.model)?;
    Ok(Call {
        model: entry.name.clone(),
        sha256: entry.sha256.clone(),
        device: entry.options.device.to_string(),
        request,
        guard,
        return_type: found.call.return_type.clone(),
        fail_on_error: found.call.fail_on_error,
        output: found.field.as_ref().clone().with_name(&found.column.name).with_nullable(true).into(),
        shown: found.shown.clone(),
    })
}

/// The rows that reach a call, and have no result yet.
fn guard_of(found: &Found) -> Option<Expr> {
    let reached = found.alternatives.as_ref().and_then(|alternatives| {
        disjunction(alternatives.iter().filter_map(|parts| conjunction(parts.iter().cloned())))
    });
    let missing = found.before.as_ref().map(|(covered, _)| Expr::IsNotTrue(Box::new(Expr::Column(covered.clone()))));
    conjunction(missing.into_iter().chain(reached))
}

/// What nodes above may use instead of calling again.
fn remembered(found: &Found, guard: Option<&Column>) -> Option<Known> {
    let whole = found.before.is_none() && !call::is_volatile(&found.call.request);
    whole.then(|| Known { call: found.call.clone(), value: found.column.clone(), guard: guard.cloned() })
}
