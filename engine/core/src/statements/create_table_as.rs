//! `CREATE TABLE AS`: the whole table, or none.

use std::sync::Arc;

use alluvia_lake::{TableSpec, storable};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::sqlparser::ast::{CreateTable, Statement as Ast};

use super::create_table::{Storage, check_plain, made, skipped};
use super::new_table::Unnamed;
use super::parameters::parameter_types;
use super::target::folded;
use super::{Described, Usage, query};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::parser::Statement;
use crate::planning::apart;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "CREATE TABLE AS",
    usage: "CREATE [OR REPLACE] TABLE [IF NOT EXISTS] <name> [(<column>, ...)] [PARTITIONED BY (...)] [LOCATION '<path>'] \
            [WITH (...)] AS <query>",
};

pub(super) async fn describe(
    session: &Session,
    state: &SessionState,
    table: &CreateTable,
    declared: &[Option<DataType>],
) -> Result<Described> {
    let Some(query) = &table.query else { return Ok(Described::nothing()) };
    let plan = query::plan(session, state, &Ast::Query(query.clone())).await?;
    Ok(Described::write(parameter_types(&plan, declared)?))
}

pub(super) async fn run(
    session: &Session,
    state: &SessionState,
    statement: &Statement,
    table: &CreateTable,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    check_plain(table)?;
    let Some(query) = &table.query else { return Err(Error::internal("CREATE TABLE AS without a query")) };
    let target = made(session, table)?;
    if table.if_not_exists && target.exists(session) {
        return Ok(skipped(&target));
    }
    let plan = query::plan(session, state, &Ast::Query(query.clone())).await?;
    let analyzer = state.clone();
    let plan = apart(async move { query::analyzed(&analyzer, query::with_parameters(plan, parameters)?) }).await?;
    let names = column_names(statement, table, &plan)?;
    let (plan, spec) = stored(plan, &names, Storage::of(table)?)?;
    let location = Storage::of(table)?.location;
    let unnamed = Unnamed::begin(session, target, location.as_deref(), table.or_replace).await?;
    match session.engine.lake.create_as(&unnamed.location, &spec, plan, state).await {
        Ok(written) => {
            unnamed.finish(session, state).await?;
            Ok(Execution::done(format!("SELECT {}", written.rows)))
        }
        Err(error) => {
            unnamed.abandon(session).await;
            Err(error.into())
        }
    }
}

/// The new table's column names: those given, else those that a client would see.
fn column_names(statement: &Statement, table: &CreateTable, plan: &LogicalPlan) -> Result<Vec<String>> {
    let schema = plan.schema().inner();
    let shown = statement.names.as_ref().map_or_else(|| Arc::clone(schema), |names| names.apply(schema));
    let mut names: Vec<String> = shown.fields().iter().map(|field| field.name().clone()).collect();
    if table.columns.len() > names.len() {
        return Err(Error::new(Kind::SyntaxError, "too many column names were specified"));
    }
    for (name, column) in names.iter_mut().zip(&table.columns) {
        *name = folded(&column.name);
    }
    let mut seen = std::collections::HashSet::new();
    match names.iter().find(|name| !seen.insert(name.to_lowercase())) {
        Some(name) => Err(Error::new(Kind::DuplicateColumn, format!("column \"{name}\" specified more than once"))
            .with_hint("Give each column of the query a name of its own with AS.")),
        None => Ok(names),
    }
}

/// The plan with the table's names and types, and the table's definition.
fn stored(plan: LogicalPlan, names: &[String], storage: Storage) -> Result<(LogicalPlan, TableSpec)> {
    let mut fields = vec![];
    let mut columns = vec![];
    for ((qualifier, field), name) in plan.schema().iter().zip(names) {
        let wanted = match field.data_type() {
            // A column of nothing but NULL has no type of its own; PostgreSQL makes it text.
            DataType::Null => DataType::Utf8,
            data_type => storable(data_type).map_err(|error| named(error, name))?,
        };
        let column = Expr::Column(Column::from((qualifier, field)));
        let column = if *field.data_type() == wanted { column } else { cast(column, wanted.clone()) };
        columns.push(column.alias(name));
        // A query's columns may be known never to be NULL; the new table doesn't promise it for ever.
        fields.push(Field::new(name, wanted, true));
    }
    let plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
    let mut spec = TableSpec::new(Arc::new(Schema::new(fields)));
    spec.partition_columns = storage.partition_columns;
    spec.properties = storage.properties;
    spec.comment = storage.comment;
    Ok((plan, spec))
}

fn named(error: alluvia_lake::Error, column: &str) -> Error {
    match error {
        alluvia_lake::Error::UnsupportedType { data_type, .. } => {
            alluvia_lake::Error::UnsupportedType { column: column.to_string(), data_type }.into()
        }
        other => other.into(),
    }
}
