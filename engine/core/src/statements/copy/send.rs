//! `COPY ... TO STDOUT`: a query whose rows are told in COPY's format. A table is the query that selects its columns.

use datafusion::execution::SessionState;
use futures::future::BoxFuture;

use super::Copying;
use super::format::Options;
use super::load::TableColumns;
use super::parse::{Copy, Source};
use crate::error::{Error, Kind, Result};
use crate::execution::{CommandTag, Execution};
use crate::parser::{self, Statement};
use crate::session::Session;
use crate::statements::relations;

/// Boxed by its type, because the way leads from statements to this one and back.
pub(super) fn run<'a>(
    session: &'a Session,
    state: &'a SessionState,
    copy: &'a Copy,
) -> BoxFuture<'a, Result<Execution>> {
    Box::pin(answer(session, state, copy))
}

async fn answer(session: &Session, state: &SessionState, copy: &Copy) -> Result<Execution> {
    let options = Options::read(&copy.options, copy.direction)?;
    let execution = rows(session, state, copy).await?;
    let names: Vec<&str> = execution.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let format = options.resolve(&names)?;
    Ok(Execution { returns_rows: false, tag: CommandTag::Rows("COPY"), copy: Some(Copying::Out(format)), ..execution })
}

/// The rows that go out, under the names that a client would see.
pub(super) async fn rows(session: &Session, state: &SessionState, copy: &Copy) -> Result<Execution> {
    let query = match &copy.source {
        Source::Query(query) => query.as_ref().clone(),
        Source::Table { name, columns } => {
            let columns = TableColumns::find(session, state, name).await?.chosen(columns)?;
            let columns: Vec<String> = columns.iter().map(|field| quoted(field.name())).collect();
            whole_table(&format!("SELECT {} FROM {name}", columns.join(", ")))?
        }
    };
    let execution = relations::run(session, state, &query, vec![]).await?;
    if !execution.returns_rows {
        return Err(Error::unsupported("COPY of a statement without rows")
            .with_hint("Give it a RETURNING clause, or COPY a SELECT."));
    }
    Ok(execution)
}

fn whole_table(sql: &str) -> Result<Statement> {
    let statement = parser::parse(sql)?.pop();
    statement.ok_or_else(|| Error::new(Kind::Internal, "internal error: a table without a query"))
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
