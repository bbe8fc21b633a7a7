//! `DROP SCHEMA`.

use datafusion::sql::sqlparser::ast::ObjectName;

use super::comment::single;
use super::drop_table::discarded;
use super::target::folded;
use super::{Usage, target};
use crate::error::Result;
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage =
    Usage { statement: "DROP SCHEMA", usage: "DROP SCHEMA [IF EXISTS] <name> [, ...] [CASCADE | RESTRICT]" };

/// All are dropped, or none.
pub(super) async fn run(session: &Session, names: &[ObjectName], if_exists: bool, cascade: bool) -> Result<Execution> {
    let names = names.iter().map(|name| Ok(folded(&single(name)?))).collect::<Result<Vec<String>>>()?;
    let snapshot = session.engine.catalog.snapshot();
    let (names, unknown): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| !if_exists || snapshot.schemas.contains_key(name));
    let mut done = Execution::done("DROP SCHEMA");
    if !names.is_empty() {
        session.transaction.lock().check_writable("DROP SCHEMA")?;
        done = if target::in_block(session) {
            target::now_or_at_commit(session, format!("schema {}", names.join(", ")), "DROP SCHEMA", move |session| {
                Box::pin(async move {
                    let dropped = session.engine.catalog.drop_schemas(&names, cascade).await?;
                    discarded(session, dropped, "DROP SCHEMA");
                    Ok(())
                })
            })
            .await?
        } else {
            let dropped = session.engine.catalog.drop_schemas(&names, cascade).await?;
            discarded(session, dropped, "DROP SCHEMA")
        };
    }
    for name in unknown {
        done = done.with_notice("NOTICE", format!("schema \"{name}\" does not exist, skipping"));
    }
    Ok(done)
}
