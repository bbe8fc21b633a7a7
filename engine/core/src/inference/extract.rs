//! Calls found in a node's expressions, with the conditions under which rows reach them.
//!
//! [`Extraction::rewrite`] walks an expression and puts a column in each call's place. On its way it collects guards:
//! a branch of CASE is reached when its condition holds and none before it did, the right side of AND when the left
//! isn't false, and so on. Guards never are NULL. The same call reached in several places has one guard per place and
//! runs where any of them holds.

mod conditional;
mod weaker;

use std::collections::{HashMap, HashSet};

use alluvia_udfs::{ModelCall, parse_call};
use arrow::datatypes::FieldRef;
use datafusion::common::alias::AliasGenerator;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchemaRef, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Case, Expr, ExprSchemable};

use super::call::{self, same_call};
use super::stage;
use crate::error::Error;
use crate::models::Models;

/// What all positions share while one plan is rewritten.
pub(super) struct Scope<'a> {
    pub models: &'a Models,
    pub names: &'a AliasGenerator,
}

impl Scope<'_> {
    pub fn hidden(&self, what: &str) -> Column {
        call::hidden_column(self.names.next(what))
    }
}

/// A call whose result is a column of the plan below.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Its request is over the columns of that plan.
    pub call: ModelCall,
    pub value: Column,
    /// The rows for which the value was computed; none means all.
    pub guard: Option<Column>,
}

/// A call that needs an inference node.
pub(super) struct Found {
    pub call: ModelCall,
    /// The request as the statement has it, for EXPLAIN.
    pub shown: String,
    pub field: FieldRef,
    pub column: Column,
    /// Conjunctions of guards of which one must hold; none means that every row reaches the call.
    pub alternatives: Option<Vec<Vec<Expr>>>,
    /// A result below that covers some rows already: those are not sent again.
    pub before: Option<(Column, Column)>,
}

/// An expression that is evaluated once and read in several places, because two evaluations might differ.
pub(super) struct Settled {
    pub expr: Expr,
    pub column: Column,
}

/// The calls found so far in expressions over one input.
pub(super) struct Extraction<'a> {
    pub scope: &'a Scope<'a>,
    /// Of the input.
    pub schema: DFSchemaRef,
    known: &'a [Known],
    pub found: Vec<Found>,
    pub settled: Vec<Settled>,
}

impl<'a> Extraction<'a> {
    pub fn new(scope: &'a Scope<'a>, schema: DFSchemaRef, known: &'a [Known]) -> Self {
        Self { scope, schema, known, found: vec![], settled: vec![] }
    }

    /// The expression with columns for its calls. `guard`: conditions, all of which hold for a row that reaches the
    /// expression. A call over columns that the input doesn't have stays as it is.
    pub fn rewrite(&mut self, expr: Expr, guard: &[Expr]) -> Result<Expr> {
        if !call::contains_call(&expr) {
            return Ok(expr);
        }
        if call::is_call(&expr) {
            return self.rewrite_call(expr, guard);
        }
        if let Expr::Lambda(_) = expr {
            return Err(Error::unsupported("a model call inside a lambda")
                .with_hint("Unnest the list, call the model on each row, and aggregate the results.")
                .into());
        }
        match self.rewrite_conditional(expr, guard)? {
            Ok(rewritten) => Ok(rewritten),
            Err(plain) => Ok(plain.map_children(|child| Ok(Transformed::yes(self.rewrite(child, guard)?)))?.data),
        }
    }

    fn rewrite_call(&mut self, expr: Expr, guard: &[Expr]) -> Result<Expr> {
        if !call::covered_by(&expr, &self.schema) {
            return Ok(expr);
        }
        let field = expr.to_field(self.schema.as_ref())?.1;
        let shown = parse_call(&expr)?.map(|call| call.request.human_display().to_string()).unwrap_or_default();
        let Expr::ScalarFunction(function) = expr else { return Ok(expr) };
        let args = function.args.into_iter().map(|arg| self.rewrite(arg, guard)).collect::<Result<Vec<_>>>()?;
        let lifted = Expr::ScalarFunction(ScalarFunction { func: function.func, args });
        let Some(call) = parse_call(&lifted)? else {
            return Err(Error::internal("a model call lost its shape while it was lifted").into());
        };
        let shared = !call::is_volatile(&call.request);
        if shared {
            if let Some(index) = self.found.iter().position(|found| same_call(&found.call, &call)) {
                self.add_guard(index, guard);
                return Ok(self.value_of(index));
            }
            let mut known = self.known.iter().filter(|known| known.guard.is_none());
            if let Some(known) = known.find(|known| same_call(&known.call, &call)) {
                return Ok(Expr::Column(known.value.clone()));
            }
            if guard.is_empty() && call::is_constant(&call.request) {
                return stage::constant(self.scope, call, field, shown);
            }
        }
        let before = self.known.iter().find(|known| shared && same_call(&known.call, &call));
        let before = before.and_then(|known| Some((known.guard.clone()?, known.value.clone())));
        let column = self.scope.hidden("__call");
        self.found.push(Found { call, shown, field, column, alternatives: Some(vec![]), before });
        let index = self.found.len() - 1;
        self.add_guard(index, guard);
        Ok(self.value_of(index))
    }

    /// What stands in the call's place.
    fn value_of(&self, index: usize) -> Expr {
        let found = &self.found[index];
        let own = Expr::Column(found.column.clone());
        match &found.before {
            None => own,
            Some((covered, value)) => {
                let covered = Expr::Column(covered.clone());
                let when = (Box::new(covered), Box::new(Expr::Column(value.clone())));
                Expr::Case(Case { expr: None, when_then_expr: vec![when], else_expr: Some(Box::new(own)) })
            }
        }
    }

    /// One more place from which rows reach a call.
    fn add_guard(&mut self, index: usize, guard: &[Expr]) {
        // Beyond this, telling the rows apart costs more than it saves.
        const ALTERNATIVES_MAX: usize = 64;
        let usable: Vec<Expr> = guard.iter().filter_map(|part| self.usable_guard(part, index)).collect();
        let found = &mut self.found[index];
        let Some(alternatives) = &mut found.alternatives else { return };
        if usable.is_empty() || alternatives.len() >= ALTERNATIVES_MAX {
            found.alternatives = None;
        } else if !alternatives.contains(&usable) {
            alternatives.push(usable);
        }
    }

    /// A condition guards a call unless it needs that call's own result, or columns from elsewhere.
    fn may_guard(&self, part: &Expr, index: usize) -> bool {
        let available = |column: &&Column| self.schema.has_column(column) || self.made(column).is_some();
        part.column_refs().iter().all(available) && !self.depends(part, index)
    }

    /// Whether the expression's value follows from that call's result.
    fn depends(&self, expr: &Expr, index: usize) -> bool {
        let mut reached: HashSet<Made> = HashSet::new();
        let mut pending: Vec<Made> = self.made_in(expr).collect();
        while let Some(made) = pending.pop() {
            if made == Made::Call(index) {
                return true;
            }
            if reached.insert(made) {
                pending.extend(self.needs_of(made).flat_map(|need| self.made_in(need)));
            }
        }
        false
    }

    /// What must exist before a hidden column can be computed.
    fn needs_of(&self, made: Made) -> Box<dyn Iterator<Item = &Expr> + '_> {
        match made {
            Made::Settled(index) => Box::new(std::iter::once(&self.settled[index].expr)),
            Made::Call(index) => {
                let found = &self.found[index];
                let guards = found.alternatives.iter().flatten().flatten();
                Box::new(std::iter::once(&found.call.request).chain(guards))
            }
        }
    }

    fn made_in<'e>(&'e self, expr: &'e Expr) -> impl Iterator<Item = Made> + 'e {
        expr.column_refs().into_iter().filter_map(|column| self.made(column))
    }

    fn made(&self, column: &Column) -> Option<Made> {
        let call = self.found.iter().position(|found| found.column == *column).map(Made::Call);
        call.or_else(|| self.settled.iter().position(|settled| settled.column == *column).map(Made::Settled))
    }

    /// The expression itself, or, where two evaluations might differ, a column that holds the one evaluation.
    /// None when it needs columns that aren't there.
    fn settle(&mut self, expr: Expr) -> Option<Expr> {
        if !call::is_volatile(&expr) {
            return Some(expr);
        }
        let available = |column: &&Column| self.schema.has_column(column) || self.made(column).is_some();
        if call::contains_call(&expr) || !expr.column_refs().iter().all(available) {
            return None;
        }
        let column = self.scope.hidden("__value");
        self.settled.push(Settled { expr, column: column.clone() });
        Some(Expr::Column(column))
    }

    /// The stage, from 1, in which each call runs and each settled value is computed.
    pub fn levels(&self) -> (Vec<usize>, Vec<usize>) {
        let mut levels = HashMap::new();
        let calls = (0..self.found.len()).map(|index| self.level(Made::Call(index), &mut levels)).collect();
        let settled = (0..self.settled.len()).map(|index| self.level(Made::Settled(index), &mut levels)).collect();
        (calls, settled)
    }

    fn level(&self, made: Made, levels: &mut HashMap<Made, usize>) -> usize {
        if let Some(level) = levels.get(&made) {
            return *level;
        }
        let needs: Vec<Made> = self.needs_of(made).flat_map(|need| self.made_in(need)).collect();
        let level = needs.into_iter().map(|need| self.level(need, levels)).max().unwrap_or(0) + 1;
        levels.insert(made, level);
        level
    }
}

/// Where a hidden column comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Made {
    Call(usize),
    Settled(usize),
}
