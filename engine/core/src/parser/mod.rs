//! SQL text to statements: PostgreSQL's grammar, and what we add to it.

mod calls;
mod depth;
mod dialect;
mod forms;
mod intervals;
pub(crate) mod merging;
mod names;
mod patterns;
mod using;
mod versions;

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{
    CreateExternalTable, DFParser, DFParserBuilder, ParserInput, Statement as DataFusionStatement,
};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Error, Kind, Result, from_parser};
use crate::statements::copy::parse::Copy;
use crate::statements::create_model::CreateModel;
use crate::statements::create_secret::CreateSecret;
use crate::statements::definition::Definition;
use crate::statements::drop_model::DropModel;
use crate::statements::drop_secret::DropSecret;
use crate::statements::upkeep::Upkeep;

pub(crate) use calls::mentions_default_embedding;
pub use names::OutputNames;
pub(crate) use names::name_outputs;

/// Deeper nesting than people or tools write; the parser and planner grow their stacks up to it.
const NESTING_MAX: usize = 400;

/// One parsed statement.
#[derive(Clone, Debug)]
pub struct Statement {
    pub(crate) kind: StatementKind,
    /// The names that the result's columns have for the client, where they differ from the planner's.
    pub(crate) names: Option<Arc<OutputNames>>,
    /// Whether it names a table at a version or calls a table function, which `statements::relations` opens before the
    /// statement is planned.
    pub(crate) reads_beside_tables: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum StatementKind {
    Sql(Box<ast::Statement>),
    CreateExternalTable(Box<CreateExternalTable>),
    CreateModel(CreateModel),
    DropModel(DropModel),
    CreateSecret(CreateSecret),
    DropSecret(DropSecret),
    Upkeep(Box<Upkeep>),
    Copy(Box<Copy>),
    Definition(Box<Definition>),
}

/// Splits a text into its statements. A text without any (blank, or only comments) gives none.
pub fn parse(sql: &str) -> Result<Vec<Statement>> {
    let mut parser = over(sql).map_err(|error| located(error, sql))?;
    depth::check_tokens(&parser.parser)?;
    if versions::occur(&parser.parser) {
        parser = over(versions::spell(parser.parser, sql)?).map_err(|error| located(error, sql))?;
    }
    if using::occurs(&parser.parser) {
        parser =
            over(using::move_behind_partitions(parser.parser.into_tokens())).map_err(|error| located(error, sql))?;
    }
    let mut statements = vec![];
    loop {
        while parser.parser.consume_token(&Token::SemiColon) {}
        if parser.parser.peek_token_ref().token == Token::EOF {
            return Ok(statements);
        }
        let kind = parse_one(&mut parser).map_err(|error| located(error, sql))?;
        statements.push(finish(kind)?);
        let end = parser.parser.peek_token_ref();
        if !matches!(end.token, Token::SemiColon | Token::EOF) {
            let error = parser.parser.expected_ref::<()>("end of statement", end).err();
            return Err(error.map_or_else(
                || Error::new(Kind::SyntaxError, "syntax error"),
                |error| from_parser(&error, Some(sql)),
            ));
        }
    }
}

/// A table's name as a text has it.
pub(crate) fn object_name(text: &str) -> Result<ast::ObjectName> {
    let mut parser = over(text).map_err(|error| located(error, text))?;
    let invalid = |_| Error::new(Kind::InvalidParameterValue, format!("invalid name of a table: \"{text}\""));
    let name = parser.parser.parse_object_name(false).map_err(invalid)?;
    match parser.parser.peek_token_ref().token {
        Token::EOF => Ok(name),
        _ => Err(Error::new(Kind::InvalidParameterValue, format!("invalid name of a table: \"{text}\""))),
    }
}

/// Columns as CREATE TABLE has them between its parentheses.
pub(crate) fn column_definitions(text: &str) -> Result<Vec<ast::ColumnDef>> {
    let text = format!("({text})");
    let mut parser = over(text.as_str()).map_err(|error| located(error, &text))?;
    let (columns, constraints) = parser.parser.parse_columns()?;
    match parser.parser.peek_token_ref().token {
        Token::EOF if constraints.is_empty() => Ok(columns),
        _ => Err(Error::new(Kind::SyntaxError, format!("invalid list of columns: {text}"))),
    }
}

/// `SELECT <expression>`.
pub(crate) fn selecting(expression: ast::Expr) -> Result<ast::Statement> {
    let mut parser = over("SELECT NULL").map_err(|error| located(error, ""))?;
    let mut statement = parser.parser.parse_statement()?;
    if let ast::Statement::Query(query) = &mut statement
        && let ast::SetExpr::Select(select) = query.body.as_mut()
    {
        select.projection = vec![ast::SelectItem::UnnamedExpr(expression)];
    }
    Ok(statement)
}

/// An expression as statements have it once they are parsed, in text.
pub(crate) fn rewritten(expression: &ast::Expr) -> Result<String> {
    let statement = finish(StatementKind::Sql(Box::new(selecting(expression.clone())?)))?;
    if let StatementKind::Sql(statement) = statement.kind
        && let ast::Statement::Query(query) = *statement
        && let ast::SetExpr::Select(select) = *query.body
        && let Some(ast::SelectItem::UnnamedExpr(expression) | ast::SelectItem::ExprWithAlias { expr: expression, .. }) =
            select.projection.first()
    {
        return Ok(expression.to_string());
    }
    Err(Error::internal("an expression without its statement"))
}

fn over<'a>(input: impl Into<ParserInput<'a>>) -> Result<DFParser<'static>, DataFusionError> {
    DFParserBuilder::new(input).with_dialect(&dialect::LinearPostgreSql).with_recursion_limit(NESTING_MAX).build()
}

fn parse_one(parser: &mut DFParser<'_>) -> Result<StatementKind, DataFusionError> {
    let words: Vec<String> = parser.parser.peek_tokens::<4>().iter().map(word).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let or_replace = matches!(words.as_slice(), ["CREATE", "OR", "REPLACE", ..]);
    let verb = words.first().copied().unwrap_or_default();
    let object = words.get(if or_replace { 3 } else { 1 }).copied().unwrap_or_default();
    match (verb, object) {
        ("CREATE", "EXTERNAL") => match parser.parse_statement()? {
            DataFusionStatement::CreateExternalTable(table) => Ok(StatementKind::CreateExternalTable(Box::new(table))),
            DataFusionStatement::Statement(statement) => Ok(StatementKind::Sql(statement)),
            other => Err(DataFusionError::NotImplemented(format!("{other} is not supported"))),
        },
        ("CREATE", "MODEL") => {
            skip(&mut parser.parser, if or_replace { 4 } else { 2 });
            Ok(StatementKind::CreateModel(CreateModel::parse(&mut parser.parser, or_replace).map_err(sql_error)?))
        }
        ("DROP", "MODEL") => {
            skip(&mut parser.parser, 2);
            Ok(StatementKind::DropModel(DropModel::parse(&mut parser.parser).map_err(sql_error)?))
        }
        ("CREATE", "SECRET") => {
            skip(&mut parser.parser, if or_replace { 4 } else { 2 });
            Ok(StatementKind::CreateSecret(CreateSecret::parse(&mut parser.parser, or_replace).map_err(sql_error)?))
        }
        ("DROP", "SECRET") => {
            skip(&mut parser.parser, 2);
            Ok(StatementKind::DropSecret(DropSecret::parse(&mut parser.parser).map_err(sql_error)?))
        }
        ("COPY", _) => {
            skip(&mut parser.parser, 1);
            Ok(StatementKind::Copy(Box::new(Copy::parse(&mut parser.parser, parse_copied)?)))
        }
        ("ABORT", _) => {
            skip(&mut parser.parser, if ["WORK", "TRANSACTION"].contains(&object) { 2 } else { 1 });
            Ok(StatementKind::Sql(Box::new(ast::Statement::Rollback { chain: false, savepoint: None })))
        }
        _ => {
            if let Some(upkeep) = Upkeep::parse(&mut parser.parser).map_err(sql_error)? {
                return Ok(StatementKind::Upkeep(Box::new(upkeep)));
            }
            if let Some(definition) = Definition::parse(&mut parser.parser).map_err(sql_error)? {
                return Ok(StatementKind::Definition(Box::new(definition)));
            }
            Ok(StatementKind::Sql(Box::new(parser.parser.parse_statement().map_err(sql_error)?)))
        }
    }
}

/// What COPY has in parentheses.
fn parse_copied(parser: &mut Parser<'_>) -> Result<Statement, DataFusionError> {
    let statement = parser.parse_statement().map_err(sql_error)?;
    Ok(finish(StatementKind::Sql(Box::new(statement)))?)
}

/// Model calls get their arguments in order; a query's columns get PostgreSQL's names.
fn finish(mut kind: StatementKind) -> Result<Statement> {
    let mut names = None;
    let mut reads_beside_tables = false;
    if let StatementKind::Sql(statement) = &mut kind {
        depth::check(statement)?;
        reads_beside_tables = versions::place(statement)?;
        calls::order_arguments(statement)?;
        if let Some(query) = names::named_query(statement) {
            names = names::name_outputs(query).map(Arc::new);
        }
        forms::rewrite(statement)?;
    }
    if let StatementKind::Definition(definition) = &mut kind
        && let Definition::CreateView(view) = definition.as_mut()
    {
        let mut statement = ast::Statement::CreateView(view.as_ref().clone());
        depth::check(&statement)?;
        // Its text keeps the versions, which are found anew whenever the view is planned.
        if versions::place(&mut statement)? {
            versions::keep_legible(&mut statement)?;
            if let ast::Statement::CreateView(placed) = statement {
                **view = placed;
            }
        }
    }
    Ok(Statement { kind, names, reads_beside_tables })
}

/// An unquoted word in upper case; anything else is empty.
fn word(token: &Token) -> String {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_uppercase(),
        _ => String::new(),
    }
}

fn skip(parser: &mut Parser<'_>, tokens: usize) {
    for _ in 0..tokens {
        parser.advance_token();
    }
}

fn sql_error(error: ParserError) -> DataFusionError {
    DataFusionError::SQL(Box::new(error), None)
}

fn located(error: DataFusionError, sql: &str) -> Error {
    match error {
        DataFusionError::SQL(error, _) => from_parser(&error, Some(sql)),
        other => Error::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_text_has_no_statements() {
        for text in ["", " ; ;", "-- only a comment", "/* and */ ;"] {
            assert!(parse(text).unwrap().is_empty(), "{text}");
        }
    }

    #[test]
    fn our_statements_and_theirs_stand_side_by_side() {
        let statements =
            parse("SELECT 1; CREATE OR REPLACE MODEL m FROM 'a.onnx' WITH (device = 'cpu'); DROP MODEL m").unwrap();
        assert!(matches!(statements[0].kind, StatementKind::Sql(_)));
        assert!(matches!(statements[1].kind, StatementKind::CreateModel(_)));
        assert!(matches!(statements[2].kind, StatementKind::DropModel(_)));
    }

    #[test]
    fn leftover_words_are_refused_with_their_place() {
        let error = parse("SELECT 1 2").unwrap_err();
        assert_eq!((error.kind, error.position), (Kind::SyntaxError, Some(10)));
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_crash() {
        let sql = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
        assert_eq!(parse(&sql).unwrap_err().kind, Kind::SyntaxError);
    }
}
