//! `DROP SCHEMA`.

use datafusion::sql::sqlparser::ast::ObjectName;

use super::{Usage, target};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::reading::discard_after_readers;
use crate::session::Session;

pub(super) const USAGE: Usage =
    Usage { statement: "DROP SCHEMA", usage: "DROP SCHEMA [IF EXISTS] <name> [CASCADE | RESTRICT]" };

pub(super) async fn run(session: &Session, names: &[ObjectName], if_exists: bool, cascade: bool) -> Result<Execution> {
    let [name] = names else { return Err(Error::unsupported("DROP SCHEMA of several schemas at once")) };
    let parts = target::parts(name)?;
    let [name] = parts.as_slice() else {
        return Err(Error::new(Kind::SyntaxError, format!("a schema's name has one part: {name}")));
    };
    if if_exists && !session.engine.catalog.snapshot().schemas.contains_key(name) {
        return Ok(
            Execution::done("DROP SCHEMA").with_notice("NOTICE", format!("schema \"{name}\" does not exist, skipping"))
        );
    }
    let owned = name.clone();
    target::now_or_at_commit(session, format!("schema {name}"), "DROP SCHEMA", move |session| {
        Box::pin(async move {
            let engine = &session.engine;
            for table in engine.catalog.drop_schema(&owned, cascade).await? {
                discard_after_readers(engine, table);
            }
            Ok(())
        })
    })
    .await
}
