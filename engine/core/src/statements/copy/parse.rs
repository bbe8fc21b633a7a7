//! COPY's grammar, with options in parentheses and in the older spelling without.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::parser::Statement;

/// The statement as parsed.
#[derive(Clone, Debug)]
pub struct Copy {
    pub source: Source,
    pub direction: Direction,
    pub place: Place,
    /// Names in lower case, in the order of the text.
    pub options: Vec<(String, OptionValue)>,
    /// It had a WHERE, of which no more is kept: it is refused.
    pub filtered: bool,
}

#[derive(Clone, Debug)]
pub enum Source {
    Table {
        name: ObjectName,
        columns: Vec<Ident>,
    },
    /// A statement with rows, to be run as any other.
    Query(Box<Statement>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    From,
    To,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// STDIN or STDOUT.
    Client,
    File(String),
    Program,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    Missing,
    /// A string, word or number.
    Text(String),
    Columns(Vec<Ident>),
    /// `*`
    AllColumns,
}

impl Copy {
    /// Parses what follows `COPY`. `query` makes a statement of what stands in parentheses.
    pub fn parse<E: From<ParserError>>(
        parser: &mut Parser<'_>,
        query: impl FnOnce(&mut Parser<'_>) -> Result<Statement, E>,
    ) -> Result<Copy, E> {
        let source = if parser.consume_token(&Token::LParen) {
            let statement = query(parser)?;
            parser.expect_token(&Token::RParen)?;
            Source::Query(Box::new(statement))
        } else {
            let name = parser.parse_object_name(false)?;
            let columns = if parser.consume_token(&Token::LParen) { column_list(parser)? } else { vec![] };
            Source::Table { name, columns }
        };
        let direction = match parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::TO]) {
            Some(Keyword::FROM) if matches!(source, Source::Table { .. }) => Direction::From,
            Some(Keyword::FROM) => return Err(syntax("COPY from a query: a query's rows go TO somewhere").into()),
            Some(_) => Direction::To,
            None => return Err(expected("FROM or TO", parser).into()),
        };
        let place = place(parser, direction)?;
        let with = parser.parse_keyword(Keyword::WITH);
        let options = if parser.consume_token(&Token::LParen) {
            let options = parser.parse_comma_separated(option)?;
            parser.expect_token(&Token::RParen)?;
            options
        } else {
            older_options(parser)?
        };
        if with && options.is_empty() {
            return Err(expected("an option", parser).into());
        }
        let filtered = parser.parse_keyword(Keyword::WHERE);
        if filtered {
            parser.parse_expr()?;
        }
        Ok(Copy { source, direction, place, options, filtered })
    }
}

fn place(parser: &mut Parser<'_>, direction: Direction) -> Result<Place, ParserError> {
    let client = if direction == Direction::From { Keyword::STDIN } else { Keyword::STDOUT };
    // PostgreSQL takes STDIN and STDOUT for each other.
    if parser.parse_one_of_keywords(&[Keyword::STDIN, Keyword::STDOUT]).is_some() {
        return Ok(Place::Client);
    }
    if parser.parse_keyword(Keyword::PROGRAM) {
        string(parser)?;
        return Ok(Place::Program);
    }
    match string(parser) {
        Ok(path) => Ok(Place::File(path)),
        Err(_) => Err(expected(&format!("{client:?} or a file's name in quotes"), parser)),
    }
}

/// `name [value]`.
fn option(parser: &mut Parser<'_>) -> Result<(String, OptionValue), ParserError> {
    let token = parser.next_token();
    let Token::Word(name) = token.token else { return parser.expected("an option's name", token) };
    let name = if name.quote_style.is_some() { name.value } else { name.value.to_lowercase() };
    let value = match &parser.peek_token_ref().token {
        Token::Comma | Token::RParen => OptionValue::Missing,
        Token::Mul => {
            parser.advance_token();
            OptionValue::AllColumns
        }
        Token::LParen => {
            parser.advance_token();
            OptionValue::Columns(column_list(parser)?)
        }
        _ => OptionValue::Text(option_text(parser)?),
    };
    Ok((name, value))
}

fn option_text(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    match &parser.peek_token_ref().token {
        Token::Word(_) => match parser.next_token().token {
            Token::Word(word) if word.quote_style.is_some() => Ok(word.value),
            Token::Word(word) => Ok(word.value.to_lowercase()),
            other => Err(syntax(format!("Expected: an option's value, found: {other}"))),
        },
        Token::Number(..) => match parser.next_token().token {
            Token::Number(digits, _) => Ok(digits),
            other => Err(syntax(format!("Expected: an option's value, found: {other}"))),
        },
        _ => string(parser),
    }
}

/// Options without parentheses, in any order: `CSV HEADER DELIMITER ';' FORCE QUOTE a, b`.
fn older_options(parser: &mut Parser<'_>) -> Result<Vec<(String, OptionValue)>, ParserError> {
    let mut options = vec![];
    loop {
        let word = match &parser.peek_token_ref().token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
            _ => return Ok(options),
        };
        parser.advance_token();
        let text = |parser: &mut Parser<'_>| {
            let _ = parser.parse_keyword(Keyword::AS);
            Ok::<_, ParserError>(OptionValue::Text(string(parser)?))
        };
        options.push(match word.as_str() {
            "binary" | "csv" => ("format".to_owned(), OptionValue::Text(word)),
            "header" | "freeze" => (word, OptionValue::Missing),
            "delimiter" | "null" | "quote" | "escape" => (word, text(parser)?),
            "encoding" => (word, OptionValue::Text(string(parser)?)),
            "force" => forced(parser)?,
            "where" => {
                parser.prev_token();
                return Ok(options);
            }
            _ => {
                parser.prev_token();
                return Err(expected("an option of COPY", parser));
            }
        });
    }
}

fn forced(parser: &mut Parser<'_>) -> Result<(String, OptionValue), ParserError> {
    let name = if parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) {
        "force_not_null"
    } else if parser.parse_keyword(Keyword::NULL) {
        "force_null"
    } else {
        // No keyword of the parser's in every version: compared as a word.
        match parser.next_token().token {
            Token::Word(word) if word.value.eq_ignore_ascii_case("quote") => "force_quote",
            _ => {
                parser.prev_token();
                return Err(expected("QUOTE, NULL or NOT NULL", parser));
            }
        }
    };
    let columns = if parser.consume_token(&Token::Mul) {
        OptionValue::AllColumns
    } else {
        OptionValue::Columns(parser.parse_comma_separated(Parser::parse_identifier)?)
    };
    Ok((name.to_owned(), columns))
}

/// Names up to the closing parenthesis.
fn column_list(parser: &mut Parser<'_>) -> Result<Vec<Ident>, ParserError> {
    let columns = parser.parse_comma_separated(Parser::parse_identifier)?;
    parser.expect_token(&Token::RParen)?;
    Ok(columns)
}

fn string(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    let token = parser.next_token();
    match token.token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) | Token::UnicodeStringLiteral(text) => {
            Ok(text)
        }
        Token::DollarQuotedString(text) => Ok(text.value),
        _ => {
            parser.prev_token();
            Err(expected("a string", parser))
        }
    }
}

fn expected(what: &str, parser: &Parser<'_>) -> ParserError {
    match parser.expected_ref::<()>(what, parser.peek_token_ref()) {
        Err(error) => error,
        Ok(()) => syntax("syntax error"),
    }
}

fn syntax(message: impl Into<String>) -> ParserError {
    ParserError::ParserError(message.into())
}
