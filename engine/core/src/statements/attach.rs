//! `ATTACH` and `DETACH`: another lake under a name of its own, to be read.

use datafusion::sql::sqlparser::ast::{Ident, Value};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::upkeep::{comes, take};
use super::{Usage, target};
use crate::error::Result;
use crate::execution::Execution;
use crate::planning::attached;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "ATTACH",
    usage: "ATTACH [DATABASE] [IF NOT EXISTS] '<path>' AS <name> [(READ_ONLY)] | DETACH [DATABASE] [IF EXISTS] <name>",
};

/// The statement as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attach {
    Attach { path: String, name: String, if_not_exists: bool },
    Detach { name: String, if_exists: bool },
}

impl Attach {
    /// `None` when what comes is something else.
    pub fn parse(parser: &mut Parser<'_>) -> Result<Option<Attach>, ParserError> {
        if take(parser, &["DETACH"]) {
            take(parser, &["DATABASE"]);
            let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
            return Ok(Some(Attach::Detach { name: name(parser)?, if_exists }));
        }
        if !comes(parser, &["ATTACH"]) {
            return Ok(None);
        }
        parser.advance_token();
        take(parser, &["DATABASE"]);
        let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let path = match parser.parse_value()?.value {
            Value::SingleQuotedString(path) => path,
            other => return Err(ParserError::ParserError(format!("Expected: a path in quotes, found: {other}"))),
        };
        parser.expect_keyword_is(Keyword::AS)?;
        let name = name(parser)?;
        if parser.consume_token(&datafusion::sql::sqlparser::tokenizer::Token::LParen) {
            if !take(parser, &["READ_ONLY"]) {
                return parser.expected_ref("READ_ONLY", parser.peek_token_ref());
            }
            parser.expect_token(&datafusion::sql::sqlparser::tokenizer::Token::RParen)?;
        }
        Ok(Some(Attach::Attach { path, name, if_not_exists }))
    }
}

fn name(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    let ident: Ident = parser.parse_identifier()?;
    Ok(target::folded(&ident))
}

pub(super) async fn run(session: &Session, attach: &Attach) -> Result<Execution> {
    let catalog = &session.engine.catalog;
    match attach {
        Attach::Attach { path, name, if_not_exists } => {
            if *if_not_exists && catalog.snapshot().attachments.contains_key(name) {
                return Ok(Execution::done("ATTACH")
                    .with_notice("NOTICE", format!("database \"{name}\" already exists, skipping")));
            }
            let location = target::folder(path)?;
            attached::check(&location, catalog.data_dir()).await?;
            let owned = name.clone();
            target::now_or_at_commit(session, format!("database {name}"), "ATTACH", move |session| {
                Box::pin(async move { session.engine.catalog.attach(&owned, &location).await })
            })
            .await
        }
        Attach::Detach { name, if_exists } => {
            if *if_exists && !catalog.snapshot().attachments.contains_key(name) {
                return Ok(Execution::done("DETACH")
                    .with_notice("NOTICE", format!("database \"{name}\" is not attached, skipping")));
            }
            let owned = name.clone();
            target::now_or_at_commit(session, format!("database {name}"), "DETACH", move |session| {
                Box::pin(async move { session.engine.catalog.detach(&owned).await })
            })
            .await
        }
    }
}
