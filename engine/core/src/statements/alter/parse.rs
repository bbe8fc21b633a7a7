//! ALTER as parsed: what the SQL parser knows of it, and what it doesn't.

use datafusion::sql::sqlparser::ast::{AlterTableOperation, Ident, ObjectName, RenameTableNameKind};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::statements::upkeep::{comes, take};

/// The statement as parsed.
#[derive(Clone, Debug)]
pub(crate) struct Alter {
    pub object: Object,
    pub name: ObjectName,
    pub if_exists: bool,
    pub operations: Vec<Operation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    Table,
    View,
    Schema,
}

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    RenameTo(ObjectName),
    SetSchema(Ident),
    SetProperties(Vec<(String, String)>),
    UnsetProperties { keys: Vec<String>, if_exists: bool },
    ColumnComment { column: Ident, comment: Option<String> },
    Table(Box<AlterTableOperation>),
}

impl Alter {
    /// `None` when what comes is something else.
    pub fn parse(parser: &mut Parser<'_>) -> Result<Option<Alter>, ParserError> {
        let objects = [("TABLE", Object::Table), ("VIEW", Object::View), ("SCHEMA", Object::Schema)];
        let Some((_, object)) = objects.into_iter().find(|(word, _)| take(parser, &["ALTER", word])) else {
            return Ok(None);
        };
        let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        if object == Object::Table {
            take(parser, &["ONLY"]);
        }
        let name = parser.parse_object_name(false)?;
        let operations = match object {
            Object::Table => parser.parse_comma_separated(parse_operation)?,
            Object::View | Object::Schema => vec![parse_naming(parser)?],
        };
        Ok(Some(Alter { object, name, if_exists, operations }))
    }
}

/// What views and schemas take.
fn parse_naming(parser: &mut Parser<'_>) -> Result<Operation, ParserError> {
    if take(parser, &["RENAME", "TO"]) {
        return Ok(Operation::RenameTo(parser.parse_object_name(false)?));
    }
    if take(parser, &["SET", "SCHEMA"]) {
        return Ok(Operation::SetSchema(parser.parse_identifier()?));
    }
    parser.expected_ref("RENAME TO or SET SCHEMA", parser.peek_token_ref())
}

fn parse_operation(parser: &mut Parser<'_>) -> Result<Operation, ParserError> {
    if take(parser, &["SET", "SCHEMA"]) {
        return Ok(Operation::SetSchema(parser.parse_identifier()?));
    }
    if take(parser, &["UNSET", "TBLPROPERTIES"]) {
        let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        return Ok(Operation::UnsetProperties { keys: in_parentheses(parser, parse_key)?, if_exists });
    }
    let properties = take(parser, &["SET", "TBLPROPERTIES"]);
    if properties || (comes(parser, &["SET"]) && parser.peek_nth_token_ref(1).token == Token::LParen) {
        if !properties {
            parser.advance_token();
        }
        return Ok(Operation::SetProperties(in_parentheses(parser, parse_property)?));
    }
    if let Some(comment) = parse_column_comment(parser)? {
        return Ok(comment);
    }
    match parser.parse_alter_table_operation()? {
        AlterTableOperation::RenameTable {
            table_name: RenameTableNameKind::To(name) | RenameTableNameKind::As(name),
        } => Ok(Operation::RenameTo(name)),
        other => Ok(Operation::Table(Box::new(other))),
    }
}

/// `ALTER [COLUMN] c COMMENT 'text'`; nothing is taken when something else comes.
fn parse_column_comment(parser: &mut Parser<'_>) -> Result<Option<Operation>, ParserError> {
    if !comes(parser, &["ALTER"]) {
        return Ok(None);
    }
    let named = if comes(parser, &["ALTER", "COLUMN"]) { 2 } else { 1 };
    let comment = match &parser.peek_nth_token_ref(named + 1).token {
        Token::Word(word) => word.keyword == Keyword::COMMENT,
        _ => false,
    };
    if !comment {
        return Ok(None);
    }
    for _ in 0..named {
        parser.advance_token();
    }
    let column = parser.parse_identifier()?;
    parser.advance_token();
    let comment = match parser.parse_keyword(Keyword::NULL) {
        true => None,
        false => Some(parser.parse_literal_string()?),
    };
    Ok(Some(Operation::ColumnComment { column, comment }))
}

fn in_parentheses<T>(
    parser: &mut Parser<'_>,
    item: fn(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<Vec<T>, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let items = parser.parse_comma_separated(item)?;
    parser.expect_token(&Token::RParen)?;
    Ok(items)
}

/// `'delta.appendOnly'`, or the same without quotes.
fn parse_key(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    if matches!(parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
        return parser.parse_literal_string();
    }
    let mut key = parser.parse_identifier()?.value;
    while parser.consume_token(&Token::Period) {
        key.push('.');
        key.push_str(&parser.parse_identifier()?.value);
    }
    Ok(key)
}

fn parse_property(parser: &mut Parser<'_>) -> Result<(String, String), ParserError> {
    let key = parse_key(parser)?;
    let _ = parser.consume_token(&Token::Eq);
    let negative = parser.consume_token(&Token::Minus);
    let token = parser.next_token();
    let value = match token.token {
        Token::SingleQuotedString(text) if !negative => text,
        Token::Number(number, _) => number,
        Token::Word(ref word) if !negative => word.value.to_lowercase(),
        _ => return parser.expected("a property's value", token),
    };
    Ok((key, if negative { format!("-{value}") } else { value }))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

    use super::*;

    fn parse(sql: &str) -> Alter {
        let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap();
        Alter::parse(&mut parser).unwrap().unwrap()
    }

    #[test]
    fn properties_with_and_without_quotes() {
        let alter = parse("ALTER TABLE t SET TBLPROPERTIES ('a.b' = 'x', delta.appendOnly = true, n = -1)");
        let [Operation::SetProperties(pairs)] = alter.operations.as_slice() else { panic!("{alter:?}") };
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a.b", "x"), ("delta.appendOnly", "true"), ("n", "-1")]);
        assert!(matches!(
            parse("ALTER TABLE t SET (a = 1), UNSET TBLPROPERTIES IF EXISTS (b)").operations.as_slice(),
            [Operation::SetProperties(_), Operation::UnsetProperties { if_exists: true, .. }]
        ));
    }

    #[test]
    fn what_the_parser_knows_not() {
        assert!(matches!(
            parse("ALTER TABLE t ALTER COLUMN c COMMENT 'x', ALTER c SET NOT NULL").operations.as_slice(),
            [Operation::ColumnComment { .. }, Operation::Table(_)]
        ));
        assert!(matches!(parse("ALTER TABLE t SET SCHEMA s").operations.as_slice(), [Operation::SetSchema(_)]));
        assert!(matches!(parse("ALTER VIEW v RENAME TO w").operations.as_slice(), [Operation::RenameTo(_)]));
        assert!(matches!(parse("ALTER TABLE IF EXISTS t RENAME TO w").operations.as_slice(), [Operation::RenameTo(_)]));
    }
}
