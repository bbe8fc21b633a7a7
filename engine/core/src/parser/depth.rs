//! A bound on statements that nest by repetition: long chains of operators, set operations, joins and subqueries of
//! WITH. The parser's own limit counts only parentheses, while planner and optimizer recurse once per link of a chain,
//! and a thread that runs out of stack takes the whole process with it.
//!
//! Even to give up a parsed chain takes a stack as deep, so tokens are looked at before they are parsed. That bound is
//! a coarse one; the statement's own depth is measured afterwards.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SetExpr, Statement, Visit, Visitor};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Error, Kind, Result};

/// Operators on the way from the top of an expression to its deepest leaf.
const EXPRESSION_DEPTH_MAX: usize = 2_500;

/// Set operations, joins and WITH subqueries of one statement together.
const RELATIONS_MAX: usize = 1_500;

/// Tokens in a row with no comma between them on their level of parentheses: the most that a chain can be made of.
const RUN_TOKENS_MAX: usize = 40_000;

/// Checks all tokens of a text that is about to be parsed.
pub(super) fn check_tokens(parser: &Parser) -> Result<()> {
    let mut runs = vec![0_usize];
    let mut set_operations = 0;
    for token in (0..).map(|index| &parser.token_at(index).token) {
        match token {
            Token::EOF => break,
            Token::Whitespace(_) => continue,
            Token::SemiColon => {
                runs.truncate(1);
                set_operations = 0;
            }
            Token::LParen | Token::LBracket => runs.push(0),
            // Branches of CASE lie side by side.
            Token::Word(word) if word.keyword == Keyword::CASE => runs.push(0),
            Token::RParen | Token::RBracket if runs.len() > 1 => drop(runs.pop()),
            Token::Word(word) if word.keyword == Keyword::END && runs.len() > 1 => drop(runs.pop()),
            Token::Word(word) if matches!(word.keyword, Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT) => {
                set_operations += 1;
            }
            _ => {}
        }
        let Some(run) = runs.last_mut() else { continue };
        let separates = match token {
            Token::Comma | Token::SemiColon => true,
            Token::Word(word) => matches!(word.keyword, Keyword::WHEN | Keyword::THEN | Keyword::ELSE),
            _ => false,
        };
        *run = if separates { 0 } else { *run + 1 };
        if *run > RUN_TOKENS_MAX {
            return Err(too_deep());
        }
        if set_operations > RELATIONS_MAX {
            return Err(too_many_relations());
        }
    }
    Ok(())
}

/// Checks a statement that is about to be planned.
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
        ControlFlow::Break(too_many_relations())
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
        ControlFlow::Break(too_deep())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<Error> {
        self.expression_depth -= 1;
        ControlFlow::Continue(())
    }
}

fn too_many_relations() -> Error {
    Error::new(Kind::StatementTooComplex, "statement combines too many relations")
        .with_detail(format!("A statement may have {RELATIONS_MAX} set operations, joins and WITH queries."))
        .with_hint("Write constant rows as one VALUES list, or split the statement.")
}

fn too_deep() -> Error {
    Error::new(Kind::StatementTooComplex, "expression is nested too deeply")
        .with_detail(format!("An expression may be {EXPRESSION_DEPTH_MAX} operators deep."))
        .with_hint("Write a long chain of OR as IN (...), and one of || as concat(...).")
}

#[cfg(test)]
mod tests {
    use crate::error::Kind;
    use crate::parser::parse;

    #[test]
    fn long_chains_are_refused_and_long_lists_are_not() {
        // As deep a stack as the server's threads have.
        std::thread::Builder::new().stack_size(64 << 20).spawn(chains_and_lists).unwrap().join().unwrap();
    }

    fn chains_and_lists() {
        let chain = |part: &str, glue: &str, count: usize| vec![part; count].join(glue);
        for sql in [
            format!("SELECT {}", chain("1", " + ", 5_000)),
            format!("SELECT {}", chain("1", " + ", 500_000)),
            format!("SELECT {} FROM FROM", chain("f(1, 2)", " + ", 500_000)),
            format!("SELECT 1{}", "::int".repeat(500_000)),
            chain("SELECT 1", " UNION ALL ", 5_000),
            chain("SELECT 1, 2", " EXCEPT ", 500_000),
            format!("SELECT 1 FROM a {}", chain("JOIN b ON true", " ", 5_000)),
        ] {
            assert_eq!(parse(&sql).unwrap_err().kind, Kind::StatementTooComplex, "{}", &sql[..40]);
        }
        for sql in [
            format!("SELECT 1 WHERE 1 IN ({})", chain("1", ", ", 100_000)),
            format!("VALUES {}", chain("(1, f(2), 3 + 4)", ", ", 50_000)),
            format!("SELECT CASE {} END", chain("WHEN a = 1 AND b THEN 2 * c", " ", 10_000)),
            chain("SELECT 1", ";", 50_000),
            format!("SELECT {}", chain("1", " + ", 1_000)),
            chain("SELECT 1", " UNION ALL ", 500),
        ] {
            assert!(parse(&sql).is_ok(), "{}", &sql[..40]);
        }
    }
}
