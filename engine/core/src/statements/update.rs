//! `UPDATE`.

use std::collections::HashSet;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Ident, ObjectName, Query, SelectItem, SetExpr, Statement, TableAlias,
    TableFactor, TableWithJoins, Update, UpdateTableFromKind, Value, With,
};

use super::delete::target;
use super::rows::{RowChange, Verb, newest, select_from};
use super::target::{Target, parts};
use super::{Described, Usage};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "UPDATE",
    usage: "UPDATE <table> [AS <alias>] SET {<column> = {<expression> | DEFAULT} | (<column>, ...) = {(<expression>, ...) \
            | (<query>)}}, ... [FROM <table>, ...] [WHERE <condition>] [RETURNING ...]",
};

/// What a query of several values is called.
const VALUES: &str = "__alluvia_values";

pub(super) async fn describe(
    session: &Session,
    state: &SessionState,
    with: Option<&With>,
    update: &Update,
    declared: &[Option<DataType>],
) -> Result<Described> {
    row_change(session, with, update).await?.describe(session, state, declared).await
}

pub(super) async fn run(
    session: &Session,
    state: &SessionState,
    with: Option<&With>,
    update: &Update,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    row_change(session, with, update).await?.run(session, state, parameters).await
}

async fn row_change(session: &Session, with: Option<&With>, update: &Update) -> Result<RowChange> {
    if update.or.is_some() || update.output.is_some() {
        return Err(Error::unsupported("UPDATE OR"));
    }
    if !update.order_by.is_empty() || update.limit.is_some() {
        return Err(Error::unsupported("UPDATE with ORDER BY or LIMIT"));
    }
    let (target, alias) = target(session, &update.table)?;
    let others = match &update.from {
        Some(UpdateTableFromKind::BeforeSet(tables) | UpdateTableFromKind::AfterSet(tables)) => tables.clone(),
        None => vec![],
    };
    let mut assigned = Vec::new();
    for assignment in &update.assignments {
        assign(assignment, &mut assigned)?;
    }
    let assigned = checked(session, &target, assigned).await?;
    let (selection, returning) = (update.selection.clone(), update.returning.clone());
    Ok(RowChange { verb: Verb::Update, with: with.cloned(), target, alias, others, selection, assigned, returning })
}

/// A value, or a column's default.
enum NewValue {
    Default,
    Of(Box<Expr>),
}

fn assign(assignment: &Assignment, assigned: &mut Vec<(String, NewValue)>) -> Result<()> {
    let of = |value: &Expr| if is_default(value) { NewValue::Default } else { NewValue::Of(Box::new(value.clone())) };
    let names = match &assignment.target {
        AssignmentTarget::ColumnName(name) => {
            assigned.push((column(name)?, of(&assignment.value)));
            return Ok(());
        }
        AssignmentTarget::Tuple(names) => names.iter().map(column).collect::<Result<Vec<_>>>()?,
    };
    let mismatch = || Error::new(Kind::SyntaxError, "number of columns does not match number of values");
    let values = match &assignment.value {
        Expr::Tuple(values) => values.clone(),
        Expr::Nested(value) if names.len() == 1 => vec![value.as_ref().clone()],
        Expr::Subquery(query) => columns_of(query)?.into_iter().map(|query| Expr::Subquery(Box::new(query))).collect(),
        _ => return Err(mismatch()),
    };
    if values.len() != names.len() {
        return Err(mismatch());
    }
    assigned.extend(names.into_iter().zip(values.iter().map(of)));
    Ok(())
}

/// A query of one column for each column of a query.
fn columns_of(query: &Query) -> Result<Vec<Query>> {
    let unsupported = || {
        Error::unsupported("assigning several columns from this query")
            .with_hint("Write a SELECT of as many expressions as there are columns.")
    };
    let mut inner = query.clone();
    let SetExpr::Select(select) = inner.body.as_mut() else { return Err(unsupported()) };
    let mut names = Vec::new();
    for (index, item) in select.projection.iter_mut().enumerate() {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            return Err(unsupported());
        };
        let alias = Ident::with_quote('"', format!("__alluvia_value_{index}"));
        names.push(alias.clone());
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
    }
    // The whole query stays below, with what it groups by and how many rows it has.
    let alias = TableAlias { explicit: true, name: Ident::with_quote('"', VALUES), columns: vec![], at: None };
    let relation = TableFactor::Derived { lateral: false, subquery: Box::new(inner), alias: Some(alias), sample: None };
    let from = TableWithJoins { relation, joins: vec![] };
    let one = |name: Ident| match select_from(vec![SelectItem::UnnamedExpr(Expr::Identifier(name))], from.clone())? {
        Statement::Query(query) => Ok(*query),
        _ => Err(unsupported()),
    };
    names.into_iter().map(one).collect()
}

fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default"))
}

fn column(name: &ObjectName) -> Result<String> {
    match parts(name)?.as_slice() {
        [column] => Ok(column.clone()),
        _ => Err(Error::unsupported(format!("assigning {name}"))
            .with_hint("Name the column alone, and assign it as a whole.")),
    }
}

/// The columns exist, occur once, and aren't generated; a generated one may be set to its default, which it is anyway.
async fn checked(session: &Session, target: &Target, assigned: Vec<(String, NewValue)>) -> Result<Vec<(String, Expr)>> {
    let snapshot = newest(session, target).await?;
    let mut seen = HashSet::new();
    let mut checked = Vec::new();
    for (column, value) in assigned {
        if snapshot.schema().field_with_name(&column).is_err() {
            let message = format!("column \"{column}\" of relation \"{}\" does not exist", target.name);
            return Err(Error::new(Kind::UndefinedColumn, message));
        }
        if !seen.insert(column.clone()) {
            let message = format!("multiple assignments to same column \"{column}\"");
            return Err(Error::new(Kind::SyntaxError, message));
        }
        let generated = snapshot.generated().iter().any(|generated| generated.column == column);
        match value {
            NewValue::Default if generated => {}
            NewValue::Default => checked.push((column, Expr::Value(Value::Null.into()))),
            NewValue::Of(_) if generated => {
                let message = format!("column \"{column}\" can only be updated to DEFAULT");
                return Err(Error::new(Kind::GeneratedAlways, message)
                    .with_detail(format!("Column \"{column}\" is a generated column.")));
            }
            NewValue::Of(value) => checked.push((column, *value)),
        }
    }
    Ok(checked)
}
