//! `CHECKPOINT`: a table's log is summed up, and its entries past retention go.

use datafusion::sql::sqlparser::ast::ObjectName;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::Usage;
use super::target::{self, Target};
use super::upkeep::check_tended;
use crate::error::Result;
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage { statement: "CHECKPOINT", usage: "CHECKPOINT <table>" };

/// The statement as parsed.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    table: ObjectName,
}

impl Checkpoint {
    /// Parses what follows `CHECKPOINT`.
    pub fn parse(parser: &mut Parser<'_>) -> Result<Checkpoint, ParserError> {
        Ok(Checkpoint { table: parser.parse_object_name(false)? })
    }

    pub(super) async fn run(&self, session: &Session) -> Result<Execution> {
        target::check_outside_block(session, USAGE.statement)?;
        let entry = Target::existing(session, &self.table)?.entry(session)?;
        check_tended(&entry, USAGE.statement)?;
        let lake = &session.engine.lake;
        lake.checkpoint(&lake.open(&entry.location).await?).await?;
        Ok(Execution::done(USAGE.statement))
    }
}
