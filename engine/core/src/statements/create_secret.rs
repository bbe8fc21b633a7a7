//! `CREATE SECRET`: credentials of an object store, for the locations of a scope.

use std::collections::BTreeMap;
use std::fmt;

use alluvia_lake::StoreKind;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Usage, target};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::secrets::Given;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "CREATE SECRET",
    usage: "CREATE [OR REPLACE] SECRET [IF NOT EXISTS] [<name>] (TYPE {S3 | AZURE | GCS}, [SCOPE '<url>'], \
            [PROVIDER {config | env | credential_chain}], <option> <value>, ...)",
};

/// Longer values than any key has; a value that is longer is a mistake.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// The statement as parsed. Printed without the options' values.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateSecret {
    /// `None` names it after its type.
    pub name: Option<String>,
    pub or_replace: bool,
    pub if_not_exists: bool,
    /// Names in lower case, TYPE and SCOPE among them.
    pub options: BTreeMap<String, String>,
}

impl fmt::Debug for CreateSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options: Vec<&String> = self.options.keys().collect();
        formatter.debug_struct("CreateSecret").field("name", &self.name).field("options", &options).finish()
    }
}

impl CreateSecret {
    /// Parses what follows `CREATE [OR REPLACE] SECRET`.
    pub fn parse(parser: &mut Parser<'_>, or_replace: bool) -> Result<CreateSecret, ParserError> {
        let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        if or_replace && if_not_exists {
            return Err(ParserError::ParserError("OR REPLACE and IF NOT EXISTS exclude each other".to_owned()));
        }
        let name = match parser.peek_token_ref().token {
            Token::LParen => None,
            _ => Some(parse_name(parser)?),
        };
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
        Ok(CreateSecret { name, or_replace, if_not_exists, options })
    }

    /// Stores the secret, now or at COMMIT.
    pub(super) async fn run(&self, session: &Session) -> Result<Execution> {
        let kind = self.kind()?;
        let name = self.name.clone().unwrap_or_else(|| format!("__default_{}", kind.name()));
        if self.if_not_exists && session.engine.catalog.snapshot().secrets.contains_key(&name) {
            return Ok(Execution::done(USAGE.statement)
                .with_notice("NOTICE", format!("secret \"{name}\" already exists, skipping")));
        }
        let (secret, named) = (self.clone(), name.clone());
        target::now_or_at_commit(session, format!("secret {name}"), USAGE.statement, move |session| {
            Box::pin(async move { secret.store(session, kind, &named).await })
        })
        .await
    }

    async fn store(&self, session: &Session, kind: StoreKind, name: &str) -> Result<()> {
        let mut options = self.options.clone();
        options.remove("type");
        let scope = options.remove("scope");
        let given = Given { name, kind, scope: scope.as_deref(), options: &options, owner: session.user() };
        match session.engine.secrets.create(given, self.or_replace).await {
            // Another session made it since.
            Err(error) if self.if_not_exists && error.kind == Kind::DuplicateObject => Ok(()),
            stored => stored,
        }
    }

    fn kind(&self) -> Result<StoreKind> {
        let types = "The types are s3, azure and gcs.";
        let Some(name) = self.options.get("type") else {
            return Err(Error::new(Kind::InvalidParameterValue, "a secret needs a TYPE").with_hint(types));
        };
        if let Some(long) = self.options.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
            let message = format!("the value of option \"{}\" is too long", long.0);
            return Err(Error::new(Kind::InvalidParameterValue, message));
        }
        StoreKind::parse(&name.to_lowercase())
            .ok_or_else(|| Error::unsupported(format!("a secret of type {name}")).with_hint(types))
    }
}

/// One identifier: secrets belong to no schema.
pub(super) fn parse_name(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    let token = parser.next_token();
    let Token::Word(word) = token.token else { return parser.expected("a secret's name", token) };
    Ok(if word.quote_style.is_some() { word.value } else { word.value.to_lowercase() })
}

fn parse_option(parser: &mut Parser<'_>) -> Result<(String, String), ParserError> {
    let token = parser.next_token();
    let Token::Word(word) = token.token else { return parser.expected("an option's name", token) };
    // `key = value` is as good as `key value`.
    let _ = parser.consume_token(&Token::Eq);
    let name = word.value.to_lowercase();
    let value = match parser.next_token().token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) | Token::UnicodeStringLiteral(text) => text,
        Token::DollarQuotedString(text) => text.value,
        Token::Number(digits, _) => digits,
        Token::Word(word) => word.value,
        // What was found isn't said: it may be a part of a key whose quotes are amiss.
        _ => return Err(ParserError::ParserError(format!("option \"{name}\" needs a value in quotes"))),
    };
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

    use super::*;

    fn parse(sql: &str) -> Result<CreateSecret, ParserError> {
        CreateSecret::parse(&mut Parser::new(&PostgreSqlDialect {}).try_with_sql(sql)?, false)
    }

    #[test]
    fn the_whole_grammar() {
        let secret = parse(
            "IF NOT EXISTS Lake (TYPE s3, KEY_ID 'a', SECRET 'it''s', USE_SSL false, timeout = 5, SCOPE 's3://b')",
        )
        .unwrap();
        assert_eq!((secret.name.as_deref(), secret.if_not_exists), (Some("lake"), true));
        let options: Vec<_> = secret.options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("key_id", "a"),
            ("scope", "s3://b"),
            ("secret", "it's"),
            ("timeout", "5"),
            ("type", "s3"),
            ("use_ssl", "false"),
        ];
        assert_eq!(options, expected);
        assert!(!format!("{secret:?}").contains("it's"));
        assert_eq!(parse("(TYPE gcs)").unwrap().name, None);
    }

    #[test]
    fn what_is_no_secret_is_refused_without_its_values() {
        for sql in ["", "a", "a ()", "a (TYPE)", "a (TYPE s3, TYPE s3)", "a (TYPE s3, SECRET -hush)"] {
            let error = parse(sql).unwrap_err().to_string();
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
