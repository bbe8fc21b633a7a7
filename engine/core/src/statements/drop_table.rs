//! `DROP TABLE`: a managed table's files go, those of a located or external one stay.

use datafusion::sql::sqlparser::ast::ObjectName;

use super::Usage;
use super::target::{self, Target};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage { statement: "DROP TABLE", usage: "DROP TABLE [IF EXISTS] <name>" };

pub(super) async fn run(session: &Session, names: &[ObjectName], if_exists: bool) -> Result<Execution> {
    let [name] = names else {
        return Err(Error::unsupported("DROP TABLE of several tables at once").with_hint("Drop them one by one."));
    };
    let target = Target::of(session, name)?;
    if !target.exists(session) {
        if if_exists {
            return Ok(Execution::done("DROP TABLE")
                .with_notice("NOTICE", format!("table \"{}\" does not exist, skipping", target.name)));
        }
        return Err(Error::new(Kind::UndefinedTable, format!("table \"{}\" does not exist", target.name)));
    }
    let owned = target.clone();
    target::now_or_at_commit(session, target.to_string(), "DROP TABLE", move |session| {
        Box::pin(async move {
            let engine = &session.engine;
            let entry = engine.catalog.drop_table(&owned.schema, &owned.name).await?;
            engine.catalog.discard(&engine.lake, &entry).await
        })
    })
    .await
}
