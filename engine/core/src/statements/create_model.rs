//! `CREATE MODEL`: a model file or folder becomes a name that `ai_query` and `embed` know.

use std::collections::BTreeMap;
use std::path::Path;

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Usage, target};
use crate::error::{Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "CREATE MODEL",
    usage: "CREATE [OR REPLACE] MODEL [IF NOT EXISTS] <name> FROM '<file or folder>' [WITH (<option> = <value>, ...)]",
};

/// The statement as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateModel {
    pub name: String,
    pub or_replace: bool,
    pub if_not_exists: bool,
    /// A path of the server, relative to its working directory.
    pub source: String,
    /// The pairs of WITH, names in lower case; [`alluvia_inference::ModelOptions`] knows which there are.
    pub options: BTreeMap<String, String>,
}

impl CreateModel {
    /// Parses what follows `CREATE [OR REPLACE] MODEL`.
    pub fn parse(parser: &mut Parser<'_>, or_replace: bool) -> Result<CreateModel, ParserError> {
        let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        if or_replace && if_not_exists {
            return Err(ParserError::ParserError("OR REPLACE and IF NOT EXISTS exclude each other".to_owned()));
        }
        let name = parse_model_name(parser)?;
        parser.expect_keyword_is(Keyword::FROM)?;
        let source = parse_text(parser, "the path of a model in quotes")?;
        let options = match parser.parse_keyword(Keyword::WITH) {
            true => parse_options(parser)?,
            false => BTreeMap::new(),
        };
        Ok(CreateModel { name, or_replace, if_not_exists, source, options })
    }

    /// Imports the model, now or at COMMIT.
    pub(super) async fn run(&self, session: &Session) -> Result<Execution> {
        let name = &self.name;
        if self.if_not_exists && session.engine.catalog.snapshot().model(name).is_some() {
            return Ok(Execution::done(USAGE.statement)
                .with_notice("NOTICE", format!("model \"{name}\" already exists, skipping")));
        }
        let model = self.clone();
        target::now_or_at_commit(session, format!("model {name}"), USAGE.statement, move |session| {
            Box::pin(async move { model.import(session).await })
        })
        .await
    }

    async fn import(&self, session: &Session) -> Result<()> {
        let source = Path::new(&self.source);
        match session.engine.models.create(&self.name, source, &self.options, self.or_replace, session.user()).await {
            Ok(_) => Ok(()),
            // Another session made it since.
            Err(error) if self.if_not_exists && error.kind == Kind::DuplicateObject => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// One identifier: models belong to no schema. Unquoted names are folded to lower case, as everywhere.
pub(super) fn parse_model_name(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    let token = parser.next_token();
    let Token::Word(word) = token.token else { return parser.expected("a model's name", token) };
    if matches!(parser.peek_token_ref().token, Token::Period) {
        return parser.expected_ref("a model's name, which belongs to no schema", parser.peek_token_ref());
    }
    Ok(if word.quote_style.is_some() { word.value } else { word.value.to_lowercase() })
}

fn parse_text(parser: &mut Parser<'_>, what: &str) -> Result<String, ParserError> {
    let token = parser.next_token();
    match token.token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) | Token::UnicodeStringLiteral(text) => {
            Ok(text)
        }
        Token::DollarQuotedString(text) => Ok(text.value),
        _ => parser.expected(what, token),
    }
}

fn parse_options(parser: &mut Parser<'_>) -> Result<BTreeMap<String, String>, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let pairs = parser.parse_comma_separated(parse_option)?;
    parser.expect_token(&Token::RParen)?;
    let mut options = BTreeMap::new();
    for (name, value) in pairs {
        if options.contains_key(&name) {
            return Err(ParserError::ParserError(format!("option \"{name}\" is given more than once")));
        }
        options.insert(name, value);
    }
    Ok(options)
}

fn parse_option(parser: &mut Parser<'_>) -> Result<(String, String), ParserError> {
    let token = parser.next_token();
    let Token::Word(word) = token.token else { return parser.expected("an option's name", token) };
    parser.expect_token(&Token::Eq)?;
    Ok((word.value.to_lowercase(), parse_option_value(parser)?))
}

/// A string, a number, TRUE, FALSE or a bare word.
fn parse_option_value(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    match &parser.peek_token_ref().token {
        Token::Word(_) => match parser.next_token().token {
            Token::Word(word) if word.quote_style.is_some() => Ok(word.value),
            Token::Word(word) => Ok(word.value.to_lowercase()),
            other => Err(ParserError::ParserError(format!("Expected: an option's value, found: {other}"))),
        },
        Token::Number(..) => parse_number(parser),
        Token::Minus => {
            parser.advance_token();
            Ok(format!("-{}", parse_number(parser)?))
        }
        _ => parse_text(parser, "an option's value"),
    }
}

fn parse_number(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    let token = parser.next_token();
    match token.token {
        Token::Number(digits, _) => Ok(digits),
        _ => parser.expected("a number", token),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

    use super::*;

    fn parse(sql: &str) -> Result<CreateModel, ParserError> {
        CreateModel::parse(&mut Parser::new(&PostgreSqlDialect {}).try_with_sql(sql)?, false)
    }

    #[test]
    fn the_whole_grammar() {
        let model = parse(
            "IF NOT EXISTS \"all-MiniLM-L6-v2\" FROM 'models/it''s here'
             WITH (device = 'cuda:1', Max_Length = 256, normalize = FALSE, pooling = mean, features = E'a,\\tb', n = -1)",
        )
        .unwrap();
        assert_eq!((model.name.as_str(), model.if_not_exists), ("all-MiniLM-L6-v2", true));
        assert_eq!(model.source, "models/it's here");
        let options: Vec<_> = model.options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("device", "cuda:1"),
            ("features", "a,\tb"),
            ("max_length", "256"),
            ("n", "-1"),
            ("normalize", "false"),
            ("pooling", "mean"),
        ];
        assert_eq!(options, expected);
    }

    #[test]
    fn names_fold_unless_quoted() {
        assert_eq!(parse("Churn FROM 'a.onnx'").unwrap().name, "churn");
        assert_eq!(parse("\"Churn\" FROM 'a.onnx'").unwrap().name, "Churn");
    }

    #[test]
    fn what_is_no_model_is_refused() {
        for sql in [
            "",
            "'m' FROM 'a'",
            "demo.m FROM 'a'",
            "m",
            "m FROM a",
            "m FROM \"a\"",
            "m FROM 'a' WITH",
            "m FROM 'a' WITH ()",
            "m FROM 'a' WITH (device)",
            "m FROM 'a' WITH (device = )",
            "m FROM 'a' WITH (device = 'cpu', device = 'cuda')",
            "m FROM 'a' WITH (n = -'1')",
        ] {
            assert!(parse(sql).is_err(), "{sql}");
        }
        let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql("IF NOT EXISTS m FROM 'a'").unwrap();
        assert!(CreateModel::parse(&mut parser, true).is_err());
    }
}
