//! Statements that look after tables and tell how they stand: which there are, and what their grammars share.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::Described;
use super::checkpoint::Checkpoint;
use super::convert_to_delta::ConvertToDelta;
use super::describe_table::DescribeTable;
use super::optimize::Optimize;
use super::restore::Restore;
use super::vacuum::Vacuum;
use crate::catalog::{TableEntry, TableKind};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::session::Session;

/// One of them, as parsed.
#[derive(Clone, Debug)]
pub enum Upkeep {
    Optimize(Box<Optimize>),
    Vacuum(Vacuum),
    Restore(Restore),
    Convert(ConvertToDelta),
    Checkpoint(Checkpoint),
    Describe(DescribeTable),
}

impl Upkeep {
    /// Parses a statement that begins with one of their words; `None`, and nothing is consumed, when it doesn't.
    pub fn parse(parser: &mut Parser<'_>) -> Result<Option<Upkeep>, ParserError> {
        if take(parser, &["OPTIMIZE"]) {
            return Ok(Some(Upkeep::Optimize(Box::new(Optimize::parse(parser)?))));
        }
        if take(parser, &["VACUUM"]) {
            return Ok(Some(Upkeep::Vacuum(Vacuum::parse(parser)?)));
        }
        if take(parser, &["RESTORE"]) {
            return Ok(Some(Upkeep::Restore(Restore::parse(parser)?)));
        }
        if take(parser, &["CONVERT", "TO", "DELTA"]) {
            return Ok(Some(Upkeep::Convert(ConvertToDelta::parse(parser)?)));
        }
        if take(parser, &["CHECKPOINT"]) {
            return Ok(Some(Upkeep::Checkpoint(Checkpoint::parse(parser)?)));
        }
        Ok(DescribeTable::parse(parser)?.map(Upkeep::Describe))
    }

    pub(super) fn describe(&self) -> Described {
        match self {
            Upkeep::Optimize(_) => Described::rows(super::optimize::schema(), vec![]),
            Upkeep::Vacuum(vacuum) => Described::rows(vacuum.schema(), vec![]),
            Upkeep::Restore(_) => Described::rows(super::restore::schema(), vec![]),
            Upkeep::Convert(_) | Upkeep::Checkpoint(_) => Described::nothing(),
            Upkeep::Describe(describe) => Described::rows(describe.schema(), vec![]),
        }
    }

    pub(super) fn run<'a>(&'a self, session: &'a Session, state: &'a SessionState) -> BoxFuture<'a, Result<Execution>> {
        match self {
            Upkeep::Optimize(optimize) => optimize.run(session, state).boxed(),
            Upkeep::Vacuum(vacuum) => vacuum.run(session, state).boxed(),
            Upkeep::Restore(restore) => restore.run(session, state).boxed(),
            Upkeep::Convert(convert) => convert.run(session, state).boxed(),
            Upkeep::Checkpoint(checkpoint) => checkpoint.run(session).boxed(),
            Upkeep::Describe(describe) => describe.run(session, state).boxed(),
        }
    }
}

/// Consumes these words when all of them come next, unquoted and in any case.
pub(super) fn take(parser: &mut Parser<'_>, words: &[&str]) -> bool {
    if !comes(parser, words) {
        return false;
    }
    for _ in words {
        parser.advance_token();
    }
    true
}

/// Whether these words come next.
pub(super) fn comes(parser: &Parser<'_>, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(place, wanted)| match &parser.peek_nth_token_ref(place).token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted),
        _ => false,
    })
}

/// A number without sign, which may have a fraction.
pub(super) fn parse_number(parser: &mut Parser<'_>, what: &str) -> Result<f64, ParserError> {
    let token = parser.next_token();
    match &token.token {
        Token::Number(digits, _) => match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => parser.expected(what, token),
        },
        _ => parser.expected(what, token),
    }
}

/// Checks that a table is a Delta table of ours: files of others are only read.
pub(super) fn check_tended(entry: &TableEntry, statement: &str) -> Result<()> {
    match entry.kind {
        TableKind::Managed | TableKind::Located => Ok(()),
        TableKind::External(_) => Err(Error::unsupported(format!("{statement} of external table \"{}\"", entry.name))
            .with_hint("CREATE TABLE ... LOCATION opens a Delta table for writing.")),
    }
}

/// Columns of counts.
pub(super) fn counts_schema(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|name| Field::new(*name, DataType::Int64, false)).collect::<Vec<_>>()))
}

/// One row of counts.
pub(super) fn counts_row(schema: SchemaRef, counts: &[u64]) -> Result<RecordBatch> {
    let column = |count: &u64| Arc::new(Int64Array::from(vec![i64::try_from(*count).unwrap_or(i64::MAX)])) as ArrayRef;
    Ok(RecordBatch::try_new(schema, counts.iter().map(column).collect())?)
}
