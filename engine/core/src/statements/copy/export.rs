//! `COPY ... TO` files of a format that holds names and types: Parquet, JSON lines, Arrow.

use std::collections::HashSet;

use alluvia_lake::{Format, plan_of_rows, storable_schema};
use arrow::datatypes::Schema;
use datafusion::common::Column;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::sqlparser::ast::Statement as Ast;
use futures::future::BoxFuture;

use super::file_options;
use super::parse::{Copy, Source};
use super::send;
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::parser::StatementKind;
use crate::session::Session;
use crate::statements::unwrapped;

/// Boxed by its type, because the way leads from statements to this one and back.
pub(super) fn run<'a>(
    session: &'a Session,
    state: &'a SessionState,
    copy: &'a Copy,
    format: Format,
    path: &'a str,
) -> BoxFuture<'a, Result<Execution>> {
    Box::pin(async move {
        check_reads(&copy.source)?;
        let options = file_options(copy)?;
        let Execution { schema, stream, notices, .. } = send::rows(session, state, copy).await?;
        check_names(&schema)?;
        let rows = session.engine.lake.export(stored(stream)?, format, path, &options, state).await?;
        Ok(Execution { notices, ..Execution::done(format!("COPY {rows}")) })
    })
}

/// What a statement writes would stay when its rows can't be written here.
fn check_reads(source: &Source) -> Result<()> {
    let Source::Query(statement) = source else { return Ok(()) };
    match &statement.kind {
        StatementKind::Sql(ast) if matches!(unwrapped(ast), (_, Ast::Query(_))) => Ok(()),
        _ => Err(Error::unsupported("COPY of anything but a query in this format")
            .with_hint("COPY its rows as text or csv, or write them to a table first.")),
    }
}

/// Readers find columns by name, and some whatever the case.
fn check_names(schema: &Schema) -> Result<()> {
    let mut seen = HashSet::new();
    match schema.fields().iter().find(|field| !seen.insert(field.name().to_lowercase())) {
        Some(field) => {
            let message = format!("column \"{}\" specified more than once", field.name());
            Err(Error::new(Kind::DuplicateColumn, message)
                .with_hint("Give each column of the query a name of its own with AS."))
        }
        None => Ok(()),
    }
}

/// The rows in the types that tables have, which every reader knows.
fn stored(rows: SendableRecordBatchStream) -> Result<LogicalPlan> {
    let wanted = storable_schema(&rows.schema())?;
    let plan = plan_of_rows("copy", rows)?;
    let columns = plan.schema().iter().zip(wanted.fields()).map(|((qualifier, field), wanted)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        let same = field.data_type() == wanted.data_type();
        let column = if same { column } else { cast(column, wanted.data_type().clone()) };
        column.alias(wanted.name())
    });
    let columns: Vec<Expr> = columns.collect();
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}
