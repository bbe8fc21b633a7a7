//! `TRUNCATE`: a table's files go at once, unread.

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{Ident, Truncate};

use super::Usage;
use super::rows::{RowChange, Verb};
use super::target::Target;
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage { statement: "TRUNCATE", usage: "TRUNCATE [TABLE] <table>" };

pub(super) async fn run(session: &Session, state: &SessionState, truncate: &Truncate) -> Result<Execution> {
    if truncate.partitions.is_some() || truncate.on_cluster.is_some() {
        return Err(Error::unsupported("TRUNCATE of partitions").with_hint("DELETE the rows of a partition."));
    }
    let [table] = truncate.table_names.as_slice() else {
        return Err(Error::unsupported("TRUNCATE of several tables")
            .with_detail("They can't be committed as one.")
            .with_hint("Truncate one after the other."));
    };
    let target = Target::existing(session, &table.name)?;
    if truncate.if_exists && !target.exists(session) {
        return Ok(Execution::done("TRUNCATE TABLE")
            .with_notice("NOTICE", format!("relation \"{}\" does not exist, skipping", target.name)));
    }
    let alias = Ident::with_quote('"', target.name.clone());
    let deletion = RowChange {
        verb: Verb::Delete,
        with: None,
        target,
        alias,
        others: vec![],
        selection: None,
        assigned: vec![],
        returning: None,
    };
    deletion.run(session, state, vec![]).await?;
    Ok(Execution::done("TRUNCATE TABLE"))
}
