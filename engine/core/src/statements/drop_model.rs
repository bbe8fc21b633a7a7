//! `DROP MODEL`: the name goes, and the files unless another model has the same.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::Usage;
use super::create_model::parse_model_name;
use crate::error::Result;
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

    /// Drops the model and answers with the command tag.
    pub async fn run(&self, session: &Session) -> Result<String> {
        session.engine.models.remove(&self.name, self.if_exists).await?;
        Ok(USAGE.statement.to_owned())
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
