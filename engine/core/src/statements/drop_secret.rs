//! `DROP SECRET`: its locations can no longer be opened with it.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::create_secret::parse_name;
use super::{Usage, target};
use crate::error::{Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage { statement: "DROP SECRET", usage: "DROP SECRET [IF EXISTS] <name>" };

/// The statement as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropSecret {
    pub name: String,
    pub if_exists: bool,
}

impl DropSecret {
    /// Parses what follows `DROP SECRET`.
    pub fn parse(parser: &mut Parser<'_>) -> Result<DropSecret, ParserError> {
        let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        Ok(DropSecret { name: parse_name(parser)?, if_exists })
    }

    /// Drops the secret, now or at COMMIT.
    pub(super) async fn run(&self, session: &Session) -> Result<Execution> {
        let (name, if_exists) = (self.name.clone(), self.if_exists);
        if !session.engine.catalog.snapshot().secrets.contains_key(&name) {
            if !if_exists {
                return Err(crate::secrets::undefined(&name));
            }
            return Ok(Execution::done(USAGE.statement)
                .with_notice("NOTICE", format!("secret \"{name}\" does not exist, skipping")));
        }
        target::now_or_at_commit(session, format!("secret {name}"), USAGE.statement, move |session| {
            Box::pin(async move {
                match session.engine.catalog.drop_secret(&name).await {
                    Err(error) if if_exists && error.kind == Kind::UndefinedObject => Ok(()),
                    dropped => dropped,
                }
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

    use super::*;

    #[test]
    fn parses() {
        let parse =
            |sql: &str| DropSecret::parse(&mut Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap()).ok();
        assert_eq!(parse("IF EXISTS \"S\""), Some(DropSecret { name: "S".to_owned(), if_exists: true }));
        assert_eq!(parse("s"), Some(DropSecret { name: "s".to_owned(), if_exists: false }));
        assert_eq!(parse("IF EXISTS"), None);
    }
}
