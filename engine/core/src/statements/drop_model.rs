//! `DROP MODEL`: the name goes, and the files unless another model has the same.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::create_model::parse_model_name;
use super::{Usage, target};
use crate::error::Result;
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage { statement: "DROP MODEL", usage: "DROP MODEL [IF EXISTS] <name>" };

/// The statement as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropModel {
    pub name: String,
    pub if_exists: bool,
}

impl DropModel {
    /// Parses what follows `DROP MODEL`.
    pub fn parse(parser: &mut Parser<'_>) -> Result<DropModel, ParserError> {
        let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        Ok(DropModel { name: parse_model_name(parser)?, if_exists })
    }

    /// Drops the model, now or at COMMIT.
    pub(super) async fn run(&self, session: &Session) -> Result<Execution> {
        let name = self.name.clone();
        if self.if_exists && session.engine.catalog.snapshot().model(&name).is_none() {
            return Ok(Execution::done(USAGE.statement)
                .with_notice("NOTICE", format!("model \"{name}\" does not exist, skipping")));
        }
        let if_exists = self.if_exists;
        target::now_or_at_commit(session, format!("model {name}"), USAGE.statement, move |session| {
            Box::pin(async move { session.engine.models.remove(&name, if_exists).await.map(|_| ()) })
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
            |sql: &str| DropModel::parse(&mut Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap()).ok();
        assert_eq!(parse("IF EXISTS \"M\""), Some(DropModel { name: "M".to_owned(), if_exists: true }));
        assert_eq!(parse("m"), Some(DropModel { name: "m".to_owned(), if_exists: false }));
        assert_eq!(parse("IF EXISTS"), None);
    }
}
