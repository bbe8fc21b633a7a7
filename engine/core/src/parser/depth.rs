//! A bound on statements that nest by repetition: long chains of operators, set operations, joins and subqueries of
//! WITH. The parser's own limit counts only parentheses, while planner and optimizer recurse once per link of a chain,
//! and a thread that runs out of stack takes the whole process with it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SetExpr, Statement, Visit, Visitor};

use crate::error::{Error, Kind, Result};

/// Operators on the way from the top of an expression to its deepest leaf.
const EXPRESSION_DEPTH_MAX: usize = 2_500;

/// Set operations, joins and WITH subqueries of one statement together.
const RELATIONS_MAX: usize = 1_500;

pub(super) fn check(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Measure::default()) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

#[derive(Default)]
struct Measure {
    expression_depth: usize,
    relations: usize,
}

impl Measure {
    fn relations(&mut self, more: usize) -> ControlFlow<Error> {
        self.relations += more;
        if self.relations <= RELATIONS_MAX {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(
            Error::new(Kind::StatementTooComplex, "statement combines too many relations")
                .with_detail(format!("A statement may have {RELATIONS_MAX} set operations, joins and WITH queries."))
                .with_hint("Write constant rows as one VALUES list, or split the statement."),
        )
    }
}

impl Visitor for Measure {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        self.relations(query.with.as_ref().map_or(0, |with| with.cte_tables.len()))?;
        // Not by recursion: this walk must stand what it measures.
        let mut operations = 0;
        let mut open = vec![query.body.as_ref()];
        while let Some(body) = open.pop() {
            if let SetExpr::SetOperation { left, right, .. } = body {
                operations += 1;
                open.extend([left.as_ref(), right.as_ref()]);
            }
        }
        self.relations(operations)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        self.relations(select.from.iter().map(|table| table.joins.len() + 1).sum::<usize>().saturating_sub(1))
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<Error> {
        self.expression_depth += 1;
        if self.expression_depth <= EXPRESSION_DEPTH_MAX {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(
            Error::new(Kind::StatementTooComplex, "expression is nested too deeply")
                .with_detail(format!("An expression may be {EXPRESSION_DEPTH_MAX} operators deep."))
                .with_hint("Write a long chain of OR as IN (...), and one of || as concat(...)."),
        )
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<Error> {
        self.expression_depth -= 1;
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Kind;
    use crate::parser::parse;

    #[test]
    fn long_chains_are_refused_and_long_lists_are_not() {
        let chain = |part: &str, glue: &str, count: usize| vec![part; count].join(glue);
        for sql in [
            format!("SELECT {}", chain("1", " + ", 5_000)),
            chain("SELECT 1", " UNION ALL ", 5_000),
            format!("SELECT 1 FROM a {}", chain("JOIN b ON true", " ", 5_000)),
        ] {
            assert_eq!(parse(&sql).unwrap_err().kind, Kind::StatementTooComplex, "{}", &sql[..40]);
        }
        for sql in [
            format!("SELECT 1 WHERE 1 IN ({})", chain("1", ", ", 5_000)),
            format!("VALUES {}", chain("(1)", ", ", 5_000)),
            format!("SELECT {}", chain("1", " + ", 1_000)),
            chain("SELECT 1", " UNION ALL ", 500),
        ] {
            assert!(parse(&sql).is_ok(), "{}", &sql[..40]);
        }
    }
}
