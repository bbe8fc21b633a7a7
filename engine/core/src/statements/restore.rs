//! `RESTORE`: a table as it was at an earlier version or time, as a new version.

use alluvia_lake::{At, Error as LakeError};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlanBuilder, cast};
use datafusion::physical_plan::collect;
use datafusion::sql::sqlparser::ast::{Expr, ExprWithAlias, ObjectName};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::target::{self, Target};
use super::upkeep::{check_tended, counts_row, counts_schema, take};
use super::{Usage, query};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "RESTORE",
    usage: "RESTORE [TABLE] <table> TO {VERSION AS OF <version> | TIMESTAMP AS OF <timestamp>}",
};

/// How often it runs again after a conflict with another writer.
const TRIES_MAX: usize = 5;

/// The statement as parsed.
#[derive(Clone, Debug)]
pub struct Restore {
    table: ObjectName,
    at: When,
}

#[derive(Clone, Debug)]
enum When {
    Version(u64),
    Timestamp(Box<Expr>),
}

impl Restore {
    /// Parses what follows `RESTORE`.
    pub fn parse(parser: &mut Parser<'_>) -> Result<Restore, ParserError> {
        take(parser, &["TABLE"]);
        let table = parser.parse_object_name(false)?;
        if !take(parser, &["TO"]) {
            return parser.expected_ref("TO", parser.peek_token_ref());
        }
        let at = if take(parser, &["VERSION", "AS", "OF"]) {
            When::Version(parser.parse_literal_uint()?)
        } else if take(parser, &["TIMESTAMP", "AS", "OF"]) {
            When::Timestamp(Box::new(parser.parse_expr()?))
        } else {
            return parser.expected_ref("VERSION AS OF or TIMESTAMP AS OF", parser.peek_token_ref());
        };
        Ok(Restore { table, at })
    }

    pub(super) async fn run(&self, session: &Session, state: &SessionState) -> Result<Execution> {
        target::check_outside_block(session, USAGE.statement)?;
        let entry = Target::existing(session, &self.table)?.entry(session)?;
        check_tended(&entry, USAGE.statement)?;
        let lake = &session.engine.lake;
        let at = match &self.at {
            When::Version(version) => At::Version(*version),
            When::Timestamp(timestamp) => At::Timestamp(timestamp_us(state, timestamp).await?),
        };
        for attempt in 1.. {
            let snapshot = lake.open(&entry.location).await?;
            let earlier = lake.open_at(&entry.location, at).await?;
            match lake.restore(&snapshot, &earlier).await {
                Err(LakeError::Conflict { .. }) if attempt < TRIES_MAX => {}
                restored => {
                    let restored = restored?;
                    let counts = [
                        restored.bytes,
                        restored.files,
                        restored.removed_files,
                        restored.restored_files,
                        restored.removed_bytes,
                        restored.restored_bytes,
                    ];
                    return Ok(Execution::batch(USAGE.statement, counts_row(schema(), &counts)?));
                }
            }
        }
        Err(Error::internal("RESTORE ended without an outcome"))
    }
}

/// Microseconds since 1970 of an expression without columns; a time without zone is one of the session's zone.
async fn timestamp_us(state: &SessionState, timestamp: &Expr) -> Result<i64> {
    let invalid = |what: &str| Error::new(Kind::InvalidParameterValue, format!("TIMESTAMP AS OF {timestamp} {what}"));
    let empty = LogicalPlanBuilder::empty(true);
    let timestamp = ExprWithAlias { expr: timestamp.clone(), alias: None };
    let value = state.create_logical_expr_from_sql_expr(timestamp, empty.schema())?;
    let zone = state.config_options().execution.time_zone.clone().unwrap_or_else(|| "UTC".to_owned());
    let value = cast(value, DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into())));
    let plan = query::with_parameters(empty.project([value])?.build()?, vec![])?;
    let batches = collect(state.create_physical_plan(&plan).await?, state.task_ctx()).await?;
    let column = batches.first().and_then(|batch| batch.columns().first()).filter(|column| column.len() == 1);
    match column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>()) {
        Some(values) if values.is_valid(0) => Ok(values.value(0)),
        _ => Err(invalid("is no time")),
    }
}

/// What the client is told.
pub(super) fn schema() -> SchemaRef {
    counts_schema(&[
        "table_size_after_restore",
        "num_of_files_after_restore",
        "num_removed_files",
        "num_restored_files",
        "removed_files_size",
        "restored_files_size",
    ])
}
