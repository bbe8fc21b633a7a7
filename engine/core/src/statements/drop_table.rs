//! `DROP TABLE`: a managed table's files go, those of a located or external one stay.

use datafusion::sql::sqlparser::ast::ObjectName;

use super::Usage;
use super::target::{self, Target};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::reading::discard_after_readers;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage { statement: "DROP TABLE", usage: "DROP TABLE [IF EXISTS] <name> [, ...]" };

pub(super) async fn run(session: &Session, names: &[ObjectName], if_exists: bool) -> Result<Execution> {
    let targets = names.iter().map(|name| Target::existing(session, name)).collect::<Result<Vec<_>>>()?;
    let (known, unknown): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| target.exists(session));
    if let Some(target) = unknown.first().filter(|_| !if_exists) {
        return Err(Error::new(Kind::UndefinedTable, format!("table \"{}\" does not exist", target.name)));
    }
    if known.len() > 1 && target::in_block(session) {
        return Err(Error::unsupported("DROP TABLE of several tables in a transaction block")
            .with_hint("Run it outside BEGIN and COMMIT, or drop one table for each block."));
    }
    let mut done = Execution::done("DROP TABLE");
    for target in known {
        done = drop_one(session, target).await?;
    }
    for target in unknown {
        done = done.with_notice("NOTICE", format!("table \"{}\" does not exist, skipping", target.name));
    }
    Ok(done)
}

async fn drop_one(session: &Session, target: Target) -> Result<Execution> {
    let owned = target.clone();
    target::now_or_at_commit(session, target.to_string(), "DROP TABLE", move |session| {
        Box::pin(async move {
            let engine = &session.engine;
            let entry = engine.catalog.drop_table(&owned.schema, &owned.name).await?;
            discard_after_readers(engine, entry);
            Ok(())
        })
    })
    .await
}
