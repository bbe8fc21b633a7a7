//! Versions of tables: `t VERSION AS OF 3`, `t TIMESTAMP AS OF '2026-01-01'`, each with FOR before it, also FOR
//! SYSTEM_TIME and FOR SYSTEM_VERSION; `t@v3` and `t@20260101000000000` (yyyyMMddHHmmssSSS, UTC).
//!
//! The parser knows part of this, at the price of `at`, `before` and `changes` as aliases. So a version is spelled to it
//! as what it takes after any table name, an argument, under a name that no argument has; afterwards it is put where it
//! belongs. A name followed by VERSION AS OF is nothing else in PostgreSQL's grammar.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, SetExpr, Statement, TableFactor, TableVersion,
    VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::keywords::{
    Keyword, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER, RESERVED_FOR_TABLE_ALIAS,
};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

use super::dialect::LinearPostgreSql;
use crate::error::{Error, Kind, Result, from_parser};
use crate::table_functions::is_table_function;

const VERSION: &str = "\u{1e}version";
const TIMESTAMP: &str = "\u{1e}timestamp";
/// Digits of a moment behind `@`: year to millisecond.
const MOMENT_DIGITS: usize = 17;

/// Whether there is any version to spell; almost never.
pub(super) fn occur(parser: &Parser) -> bool {
    let tokens = (0..).map(|index| &parser.token_at(index).token);
    let mut tokens = tokens.take_while(|token| **token != Token::EOF);
    tokens.any(|token| match token {
        Token::AtSign => true,
        Token::Word(word) => word.keyword == Keyword::OF && word.quote_style.is_none(),
        _ => false,
    })
}

/// Each version as an argument of its table. `parser` is used up to find where expressions end.
pub(super) fn spell(mut parser: Parser, sql: &str) -> Result<Vec<TokenWithSpan>> {
    let mut spelled: Vec<TokenWithSpan> = vec![];
    loop {
        let index = parser.index();
        let token = parser.token_at(index).clone();
        if token.token == Token::EOF {
            return Ok(spelled);
        }
        if let Some((name, value)) = behind_at_sign(&parser, index) {
            check_target(&spelled)?;
            push_argument(&mut spelled, token.span, name, [value]);
            advance(&mut parser, index + 2);
        } else if let Some((name, start)) = as_of(&parser, index, &spelled) {
            drop_for(&mut spelled);
            check_target(&spelled)?;
            advance(&mut parser, start);
            parser.parse_expr().map_err(|error: ParserError| from_parser(&error, Some(sql)))?;
            let expression = (start..parser.index()).map(|index| parser.token_at(index).clone());
            let expression: Vec<_> = expression.collect();
            push_argument(&mut spelled, token.span, name, expression);
        } else {
            spelled.push(token);
            advance(&mut parser, index + 1);
        }
    }
}

fn advance(parser: &mut Parser, index: usize) {
    while parser.index() < index {
        parser.next_token_no_skip();
    }
}

fn push_argument(
    spelled: &mut Vec<TokenWithSpan>,
    span: Span,
    name: &str,
    value: impl IntoIterator<Item = TokenWithSpan>,
) {
    let here = |token| TokenWithSpan { token, span };
    let name = Word { value: name.to_string(), quote_style: Some('"'), keyword: Keyword::NoKeyword };
    spelled.extend([here(Token::LParen), here(Token::Word(name)), here(Token::RArrow)]);
    spelled.extend(value);
    spelled.push(here(Token::RParen));
}

/// `t@v3`, `t@20260101000000000`: without blanks.
fn behind_at_sign(parser: &Parser, index: usize) -> Option<(&'static str, TokenWithSpan)> {
    if parser.token_at(index).token != Token::AtSign || !names_table(&parser.token_at(index.checked_sub(1)?).token) {
        return None;
    }
    let behind = parser.token_at(index + 1);
    let token = match &behind.token {
        Token::Word(word) if word.quote_style.is_none() => {
            let digits = word.value.strip_prefix(['v', 'V'])?;
            all_digits(digits).then(|| (VERSION, Token::Number(digits.to_string(), false)))
        }
        Token::Number(digits, false) if digits.len() == MOMENT_DIGITS && all_digits(digits) => {
            Some((TIMESTAMP, Token::SingleQuotedString(moment(digits)?)))
        }
        _ => None,
    };
    token.map(|(name, token)| (name, TokenWithSpan { token, span: behind.span }))
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `20260101123000500` as `2026-01-01 12:30:00.500+00`.
fn moment(digits: &str) -> Option<String> {
    let part = |from: usize, to: usize| digits.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second, rest) = (part(8, 10)?, part(10, 12)?, part(12, 14)?, part(14, 17)?);
    Some(format!("{year}-{month}-{day} {hour}:{minute}:{second}.{rest}+00"))
}

/// `[FOR] VERSION AS OF`: which argument it is, and where its expression starts.
fn as_of(parser: &Parser, index: usize, before: &[TokenWithSpan]) -> Option<(&'static str, usize)> {
    let word = unquoted(&parser.token_at(index).token)?;
    let mut words =
        before.iter().rev().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    let mut previous = words.next()?;
    let mut after_for = false;
    if unquoted(previous).is_some_and(|word| word.keyword == Keyword::FOR) {
        previous = words.next()?;
        after_for = true;
    }
    let name = match word.value.to_ascii_uppercase().as_str() {
        "VERSION" => VERSION,
        "TIMESTAMP" => TIMESTAMP,
        "SYSTEM_VERSION" if after_for => VERSION,
        "SYSTEM_TIME" if after_for => TIMESTAMP,
        _ => return None,
    };
    let (as_, after_as) = significant(parser, index + 1);
    let (of, after_of) = significant(parser, after_as);
    let (value, _) = significant(parser, after_of);
    let is = |token: &Token, keyword| unquoted(token).is_some_and(|word| word.keyword == keyword);
    let value_begins = match value {
        Token::Word(word) => !RESERVED_FOR_TABLE_ALIAS.contains(&word.keyword) && word.keyword != Keyword::FROM,
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) | Token::LParen | Token::Minus => true,
        Token::EscapedStringLiteral(_) | Token::DollarQuotedString(_) => true,
        _ => false,
    };
    let found = names_table(previous) && is(as_, Keyword::AS) && is(of, Keyword::OF) && value_begins;
    found.then_some((name, after_of))
}

/// The first token from `index` on that isn't blank, and the index behind it.
fn significant<'a>(parser: &'a Parser, index: usize) -> (&'a Token, usize) {
    let mut index = index;
    while let Token::Whitespace(_) = parser.token_at(index).token {
        index += 1;
    }
    (&parser.token_at(index).token, index + 1)
}

fn unquoted(token: &Token) -> Option<&Word> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word),
        _ => None,
    }
}

/// Whether a name may end here, rather than words of the grammar.
fn names_table(token: &Token) -> bool {
    const NEVER_NAMES: &[Keyword] = &[
        Keyword::ALL,
        Keyword::BY,
        Keyword::DISTINCT,
        Keyword::FROM,
        Keyword::INTO,
        Keyword::RETURNING,
        Keyword::SELECT,
        Keyword::SET,
        Keyword::TABLE,
        Keyword::TO,
    ];
    match token {
        Token::Word(word) if word.quote_style.is_none() => {
            let lists = [RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_TABLE_ALIAS, RESERVED_FOR_IDENTIFIER, NEVER_NAMES];
            lists.iter().all(|list| !list.contains(&word.keyword))
        }
        Token::Word(_) => true,
        _ => false,
    }
}

fn drop_for(spelled: &mut Vec<TokenWithSpan>) {
    let last = spelled.iter().rposition(|token| !matches!(token.token, Token::Whitespace(_)));
    if let Some(last) = last
        && let Some(token) = spelled.get(last)
        && unquoted(&token.token).is_some_and(|word| word.keyword == Keyword::FOR)
    {
        spelled.truncate(last);
    }
}

/// Only the newest version of a table can be written. `before` ends with the table's name.
fn check_target(before: &[TokenWithSpan]) -> Result<()> {
    let tokens = before.iter().rev().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    let mut in_name = true;
    let mut words = vec![];
    for token in tokens {
        if in_name && matches!(token, Token::Word(_)) {
            in_name = false;
            continue;
        }
        if *token == Token::Period {
            in_name = true;
            continue;
        }
        match unquoted(token) {
            Some(word) if words.len() < 2 => words.push(word.keyword),
            _ => break,
        }
    }
    let written = matches!(
        words.as_slice(),
        [Keyword::INTO | Keyword::UPDATE | Keyword::TRUNCATE | Keyword::TABLE, ..] | [Keyword::FROM, Keyword::DELETE]
    );
    if written {
        return Err(Error::unsupported("writing to a version of a table")
            .with_hint("Statements write to the newest version; RESTORE TABLE makes an earlier one the newest."));
    }
    Ok(())
}

/// Puts versions where they belong in the parsed statement. True when there are any, or table functions of ours.
pub(super) fn place(statement: &mut Statement) -> Result<bool> {
    let mut placer = Placer { found: false };
    match statement.visit(&mut placer) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(placer.found),
    }
}

struct Placer {
    found: bool,
}

impl VisitorMut for Placer {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        match factor {
            TableFactor::Table { name, args, version, .. } => {
                if let Some(given) = args.as_ref().and_then(|arguments| version_of(&arguments.args)) {
                    *version = Some(given);
                    *args = None;
                }
                self.found |= version.is_some() || args.is_some() && is_table_function(name);
            }
            TableFactor::Function { name, .. } => self.found |= is_table_function(name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Function(function) = expression
            && let FunctionArguments::List(list) = &function.args
            && version_of(&list.args).is_some()
        {
            return ControlFlow::Break(Error::new(
                Kind::SyntaxError,
                format!("a version can be given only of a table, and \"{}\" is none here", function.name),
            ));
        }
        ControlFlow::Continue(())
    }
}

/// For a text that will be parsed again. The parser prints a version behind its table's alias, where it stands in no
/// grammar; so a table with both becomes a query of its own.
pub(super) fn keep_legible(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Nester) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Nester;

impl VisitorMut for Nester {
    type Break = Error;

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { alias, version: Some(_), .. } = factor else { return ControlFlow::Continue(()) };
        let Some(alias) = alias.take() else { return ControlFlow::Continue(()) };
        match nested(factor.clone()) {
            Ok(subquery) => {
                *factor = TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None };
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(from_parser(&error, None)),
        }
    }
}

/// `SELECT * FROM table`.
fn nested(table: TableFactor) -> Result<Box<Query>, ParserError> {
    let mut query = Parser::new(&LinearPostgreSql).try_with_sql("SELECT * FROM t")?.parse_query()?;
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(from) = select.from.first_mut()
    {
        from.relation = table;
    }
    Ok(query)
}

fn version_of(arguments: &[FunctionArg]) -> Option<TableVersion> {
    match arguments {
        [FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }] => match name.value.as_str() {
            VERSION => Some(TableVersion::VersionAsOf(value.clone())),
            TIMESTAMP => Some(TableVersion::TimestampAsOf(value.clone())),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Kind;
    use crate::parser::{StatementKind, parse};

    /// The parsed statement's text has versions behind aliases.
    fn check(sql: &str, expected: &str) {
        let statement = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).remove(0);
        let StatementKind::Sql(ast) = statement.kind else { panic!("{sql}") };
        assert_eq!(ast.to_string(), expected, "{sql}");
        assert_eq!(statement.reads_beside_tables, sql != expected || expected.contains("AS OF"), "{sql}");
    }

    #[test]
    fn versions_stand_wherever_tables_do() {
        check("SELECT a FROM t VERSION AS OF 3", "SELECT a FROM t VERSION AS OF 3");
        check("SELECT a FROM s.t FOR VERSION AS OF $1 x", "SELECT a FROM s.t x VERSION AS OF $1");
        check(
            "SELECT a FROM \"T\" timestamp as of now() - interval '1 day' as x JOIN u@v2 ON x.a = u.a",
            "SELECT a FROM \"T\" AS x TIMESTAMP AS OF CAST(now() AS TIMESTAMPTZ) - INTERVAL '1 day' \
             JOIN u VERSION AS OF 2 ON x.a = u.a",
        );
        check(
            "SELECT a FROM t FOR SYSTEM_TIME AS OF '2026-01-01', t@20260102030405678 y WHERE true",
            "SELECT a FROM t TIMESTAMP AS OF '2026-01-01', \
             t y TIMESTAMP AS OF '2026-01-02 03:04:05.678+00' WHERE true",
        );
        check(
            "INSERT INTO t SELECT a FROM t FOR SYSTEM_VERSION AS OF (1 + 1)",
            "INSERT INTO t SELECT a FROM t VERSION AS OF (1 + 1)",
        );
    }

    #[test]
    fn words_keep_their_other_meanings() {
        for sql in [
            "SELECT version AS of FROM t",
            "SELECT DISTINCT timestamp AS of FROM t",
            "SELECT a FROM t at",
            "SELECT a FROM t before",
            "SELECT a FROM version AS of",
        ] {
            let statement = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).remove(0);
            assert!(!statement.reads_beside_tables, "{sql}");
        }
    }

    #[test]
    fn versions_are_not_written_to() {
        for sql in [
            "INSERT INTO t VERSION AS OF 3 VALUES (1)",
            "UPDATE s.t@v3 SET a = 1",
            "DELETE FROM t FOR VERSION AS OF 3 WHERE a = 1",
            "MERGE INTO t TIMESTAMP AS OF now() USING u ON a = b WHEN MATCHED THEN DELETE",
        ] {
            assert_eq!(parse(sql).unwrap_err().kind, Kind::FeatureNotSupported, "{sql}");
        }
        assert_eq!(parse("SELECT a@v3 FROM t").unwrap_err().kind, Kind::SyntaxError);
        assert_eq!(parse("SELECT a FROM t VERSION AS OF 1 +").unwrap_err().kind, Kind::SyntaxError);
    }
}
