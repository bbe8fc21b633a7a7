//! Expressions that don't evaluate all their parts for all rows, and what a row must satisfy to reach each part.

use std::collections::VecDeque;

use datafusion::common::Result;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion::logical_expr::{BinaryExpr, Case, Expr, Operator, SortExpr, binary_expr};

use super::Extraction;
use super::call;

impl Extraction<'_> {
    /// `Ok(Err(expr))` gives an expression back that evaluates its parts for every row.
    pub(super) fn rewrite_conditional(&mut self, expr: Expr, guard: &[Expr]) -> Result<Result<Expr, Expr>> {
        Ok(Ok(match expr {
            Expr::Case(case) => self.rewrite_case(case, guard)?,
            Expr::BinaryExpr(binary) if matches!(binary.op, Operator::And | Operator::Or) => {
                self.rewrite_chain(binary, guard)?
            }
            Expr::ScalarFunction(function) if ["coalesce", "nvl", "ifnull"].contains(&function.name()) => {
                self.rewrite_coalesce(function, guard)?
            }
            Expr::ScalarFunction(function) if ["nullif", "nvl2"].contains(&function.name()) => {
                self.rewrite_after_first(function, guard)?
            }
            Expr::AggregateFunction(function) => self.rewrite_aggregate(function, guard)?,
            Expr::WindowFunction(function) => self.rewrite_window(*function, guard)?,
            other => return Ok(Err(other)),
        }))
    }

    fn rewrite_case(&mut self, case: Case, guard: &[Expr]) -> Result<Expr> {
        let mut guard = guard.to_vec();
        let base = match case.expr {
            Some(base) => {
                let base = self.rewrite(*base, &guard)?;
                Some(self.settle(base.clone()).unwrap_or(base))
            }
            None => None,
        };
        let mut branches = vec![];
        for (when, then) in case.when_then_expr {
            let when = self.rewrite(*when, &guard)?;
            let settled = self.settle(when.clone());
            let usable = settled.is_some() && !base.as_ref().is_some_and(call::is_volatile);
            let when = settled.unwrap_or(when);
            let condition = match &base {
                Some(base) => binary_expr(base.clone(), Operator::Eq, when.clone()),
                None => when.clone(),
            };
            let mut reached = guard.clone();
            if usable {
                reached.push(Expr::IsTrue(Box::new(condition.clone())));
                guard.push(Expr::IsNotTrue(Box::new(condition)));
            }
            branches.push((Box::new(when), Box::new(self.rewrite(*then, &reached)?)));
        }
        let otherwise = case.else_expr.map(|expr| self.rewrite(*expr, &guard)).transpose()?;
        Ok(Expr::Case(Case { expr: base.map(Box::new), when_then_expr: branches, else_expr: otherwise.map(Box::new) }))
    }

    /// A chain of AND or of OR: parts without calls come first, wherever they are written, then calls from left to
    /// right, each for the rows that are still undecided.
    fn rewrite_chain(&mut self, chain: BinaryExpr, guard: &[Expr]) -> Result<Expr> {
        let op = chain.op;
        let undecided = |part: Expr| match op {
            Operator::And => Expr::IsNotFalse(Box::new(part)),
            _ => Expr::IsNotTrue(Box::new(part)),
        };
        let parts = flatten(chain);
        let mut guard = guard.to_vec();
        let mut rewritten: Vec<Option<Expr>> = vec![None; parts.len()];
        let (cheap, calls): (Vec<_>, Vec<_>) =
            parts.into_iter().enumerate().partition(|(_, part)| !call::contains_call(part));
        for (place, part) in cheap.into_iter().chain(calls) {
            let part = self.rewrite(part, &guard)?;
            let settled = self.settle(part.clone());
            guard.extend(settled.clone().map(undecided));
            rewritten[place] = Some(settled.unwrap_or(part));
        }
        let parts = rewritten.into_iter().flatten();
        Ok(parts.reduce(|left, right| binary_expr(left, op, right)).unwrap_or_default())
    }

    /// Each argument is reached by rows for which those before it are NULL.
    fn rewrite_coalesce(&mut self, function: ScalarFunction, guard: &[Expr]) -> Result<Expr> {
        let mut guard = guard.to_vec();
        let mut args = vec![];
        for arg in function.args {
            let arg = self.rewrite(arg, &guard)?;
            let settled = self.settle(arg.clone());
            guard.extend(settled.clone().map(|arg| Expr::IsNull(Box::new(arg))));
            args.push(settled.unwrap_or(arg));
        }
        Ok(Expr::ScalarFunction(ScalarFunction { func: function.func, args }))
    }

    /// `nullif(a, b)`: b matters when a isn't NULL. `nvl2(a, b, c)`: b when a isn't NULL, c when it is.
    fn rewrite_after_first(&mut self, function: ScalarFunction, guard: &[Expr]) -> Result<Expr> {
        let mut args = vec![];
        let mut first: Option<Expr> = None;
        for (place, arg) in function.args.into_iter().enumerate() {
            let mut reached = guard.to_vec();
            reached.extend(first.clone().map(|first| match place {
                1 => Expr::IsNotNull(Box::new(first)),
                _ => Expr::IsNull(Box::new(first)),
            }));
            let arg = self.rewrite(arg, &reached)?;
            if place == 0 {
                first = self.settle(arg.clone());
            }
            args.push(if place == 0 { first.clone().unwrap_or(arg) } else { arg });
        }
        Ok(Expr::ScalarFunction(ScalarFunction { func: function.func, args }))
    }

    /// Rows that FILTER drops don't reach the arguments.
    fn rewrite_aggregate(&mut self, mut function: AggregateFunction, guard: &[Expr]) -> Result<Expr> {
        let (filter, guard) = self.rewrite_filter(function.params.filter, guard)?;
        function.params.filter = filter;
        function.params.args = self.rewrite_all(function.params.args, &guard)?;
        function.params.order_by = self.rewrite_sorts(function.params.order_by, &guard)?;
        Ok(Expr::AggregateFunction(function))
    }

    fn rewrite_window(&mut self, mut function: WindowFunction, guard: &[Expr]) -> Result<Expr> {
        let params = &mut function.params;
        params.partition_by = self.rewrite_all(std::mem::take(&mut params.partition_by), guard)?;
        params.order_by = self.rewrite_sorts(std::mem::take(&mut params.order_by), guard)?;
        let (filter, guard) = self.rewrite_filter(params.filter.take(), guard)?;
        params.filter = filter;
        params.args = self.rewrite_all(std::mem::take(&mut params.args), &guard)?;
        Ok(Expr::WindowFunction(Box::new(function)))
    }

    fn rewrite_filter(&mut self, filter: Option<Box<Expr>>, guard: &[Expr]) -> Result<(Option<Box<Expr>>, Vec<Expr>)> {
        let mut guard = guard.to_vec();
        let Some(filter) = filter else { return Ok((None, guard)) };
        let filter = self.rewrite(*filter, &guard)?;
        let settled = self.settle(filter.clone());
        guard.extend(settled.clone().map(|filter| Expr::IsTrue(Box::new(filter))));
        Ok((Some(Box::new(settled.unwrap_or(filter))), guard))
    }

    pub fn rewrite_all(&mut self, exprs: Vec<Expr>, guard: &[Expr]) -> Result<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.rewrite(expr, guard)).collect()
    }

    pub fn rewrite_sorts(&mut self, sorts: Vec<SortExpr>, guard: &[Expr]) -> Result<Vec<SortExpr>> {
        let rewrite = |sort: SortExpr| {
            let SortExpr { expr, asc, nulls_first } = sort;
            Ok(SortExpr { expr: self.rewrite(expr, guard)?, asc, nulls_first })
        };
        sorts.into_iter().map(rewrite).collect()
    }
}

/// The parts of a chain of one operator, from left to right.
fn flatten(chain: BinaryExpr) -> Vec<Expr> {
    let op = chain.op;
    let mut parts = vec![];
    let mut pending = VecDeque::from([*chain.left, *chain.right]);
    while let Some(expr) = pending.pop_front() {
        match expr {
            Expr::BinaryExpr(inner) if inner.op == op => {
                pending.push_front(*inner.right);
                pending.push_front(*inner.left);
            }
            other => parts.push(other),
        }
    }
    parts
}
