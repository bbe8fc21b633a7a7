//! `CREATE SCHEMA`.

use datafusion::sql::sqlparser::ast::SchemaName;

use super::{Usage, target};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage { statement: "CREATE SCHEMA", usage: "CREATE SCHEMA [IF NOT EXISTS] <name>" };

pub(super) async fn run(session: &Session, name: &SchemaName, if_not_exists: bool) -> Result<Execution> {
    let SchemaName::Simple(name) = name else { return Err(Error::unsupported("CREATE SCHEMA ... AUTHORIZATION")) };
    let parts = target::parts(name)?;
    let [name] = parts.as_slice() else {
        return Err(Error::new(Kind::SyntaxError, format!("a schema's name has one part: {name}")));
    };
    if if_not_exists && session.engine.catalog.snapshot().schemas.contains_key(name) {
        return Ok(Execution::done("CREATE SCHEMA")
            .with_notice("NOTICE", format!("schema \"{name}\" already exists, skipping")));
    }
    let owned = name.clone();
    target::now_or_at_commit(session, format!("schema {name}"), "CREATE SCHEMA", move |session| {
        Box::pin(async move { session.engine.catalog.create_schema(&owned).await })
    })
    .await
}
