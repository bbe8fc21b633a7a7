//! `DELETE`.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{Delete, FromTable, Ident, TableFactor, TableWithJoins, With};

use super::rows::{RowChange, Verb};
use super::target::Target;
use super::{Described, Usage};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "DELETE",
    usage: "DELETE FROM <table> [AS <alias>] [USING <table>, ...] [WHERE <condition>] [RETURNING ...]",
};

pub(super) async fn describe(
    session: &Session,
    state: &SessionState,
    with: Option<&With>,
    delete: &Delete,
    declared: &[Option<DataType>],
) -> Result<Described> {
    row_change(session, with, delete)?.describe(session, state, declared).await
}

pub(super) async fn run(
    session: &Session,
    state: &SessionState,
    with: Option<&With>,
    delete: &Delete,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    row_change(session, with, delete)?.run(session, state, parameters).await
}

fn row_change(session: &Session, with: Option<&With>, delete: &Delete) -> Result<RowChange> {
    if !delete.tables.is_empty() || delete.output.is_some() {
        return Err(Error::unsupported("DELETE of several tables"));
    }
    if !delete.order_by.is_empty() || delete.limit.is_some() {
        return Err(Error::unsupported("DELETE with ORDER BY or LIMIT"));
    }
    let FromTable::WithFromKeyword(from) = &delete.from else {
        return Err(Error::unsupported("DELETE without FROM"));
    };
    let [table] = from.as_slice() else {
        return Err(Error::unsupported("DELETE of several tables").with_hint("Name further tables after USING."));
    };
    let (target, alias) = target(session, table)?;
    Ok(RowChange {
        verb: Verb::Delete,
        with: with.cloned(),
        target,
        alias,
        others: delete.using.clone().unwrap_or_default(),
        selection: delete.selection.clone(),
        assigned: vec![],
        returning: delete.returning.clone(),
    })
}

/// The table of a statement that changes it, and what the statement calls it.
pub(super) fn target(session: &Session, table: &TableWithJoins) -> Result<(Target, Ident)> {
    let (true, TableFactor::Table { name, alias, args: None, version: None, sample: None, .. }) =
        (table.joins.is_empty(), &table.relation)
    else {
        return Err(Error::unsupported(format!("changing {table}")).with_hint("Name a table, without a version."));
    };
    let target = Target::existing(session, name)?;
    let alias = match alias {
        Some(alias) if !alias.columns.is_empty() => return Err(Error::unsupported("column names in an alias here")),
        Some(alias) => alias.name.clone(),
        None => Ident::with_quote('"', target.name.clone()),
    };
    Ok((target, alias))
}
