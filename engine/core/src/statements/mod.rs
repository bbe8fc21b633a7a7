//! What each statement does, one file each. This file only tells them apart.

mod alter;
mod attach;
pub mod checkpoint;
pub mod convert_to_delta;
pub mod copy;
mod comment;
pub mod create_external_table;
pub mod create_model;
pub mod create_schema;
pub mod create_secret;
pub mod create_table;
pub mod create_table_as;
pub mod create_view;
pub(crate) mod definition;
pub mod describe_table;
pub mod delete;
pub mod drop_model;
pub mod drop_schema;
pub mod drop_secret;
pub mod drop_table;
pub mod insert;
pub mod merge;
mod new_table;
pub mod overwrite;
pub mod optimize;
mod parameters;
pub mod query;
pub(crate) mod relations;
pub mod restore;
pub mod setting;
mod rows;
mod show;
mod target;
pub(crate) mod temporary;
pub mod transaction;
pub mod truncate;
pub mod update;
pub mod upkeep;
pub mod vacuum;

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{CloseCursor, ObjectType, Query, SetExpr, Statement as Ast, With};
use futures::future::BoxFuture;

use crate::error::{Error, Result};
use crate::execution::{CommandTag, Execution};
use crate::parser::{Statement, StatementKind};
use crate::session::Session;
pub(crate) use create_external_table::columns_of;
pub(crate) use target::{delta_location, location};

/// A statement as people look it up.
pub struct Usage {
    pub statement: &'static str,
    pub usage: &'static str,
}

/// Every statement there is, for the documentation and the test that asks for a `.slt` of each.
pub const STATEMENTS: &[Usage] = &[
    query::USAGE,
    insert::USAGE,
    update::USAGE,
    delete::USAGE,
    truncate::USAGE,
    merge::USAGE,
    copy::USAGE,
    overwrite::USAGE,
    create_schema::USAGE,
    create_table::USAGE,
    create_table_as::USAGE,
    create_external_table::USAGE,
    create_model::USAGE,
    create_secret::USAGE,
    create_view::USAGE,
    alter::USAGE,
    comment::USAGE,
    attach::USAGE,
    show::USAGE,
    drop_schema::USAGE,
    drop_table::USAGE,
    drop_table::USAGE_OF_VIEWS,
    drop_model::USAGE,
    drop_secret::USAGE,
    optimize::USAGE,
    vacuum::USAGE,
    restore::USAGE,
    convert_to_delta::USAGE,
    checkpoint::USAGE,
    describe_table::USAGE,
    setting::USAGE,
    transaction::USAGE,
];

/// A statement's types, found without running it.
pub(crate) struct Described {
    pub schema: SchemaRef,
    pub returns_rows: bool,
    pub parameters: Vec<DataType>,
}

impl Described {
    fn nothing() -> Self {
        Self { schema: Arc::new(Schema::empty()), returns_rows: false, parameters: vec![] }
    }

    fn rows(schema: SchemaRef, parameters: Vec<DataType>) -> Self {
        Self { schema, returns_rows: true, parameters }
    }

    fn write(parameters: Vec<DataType>) -> Self {
        Self { parameters, ..Self::nothing() }
    }
}

pub(crate) async fn describe(
    session: &Session,
    state: &SessionState,
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<Described> {
    if let StatementKind::Upkeep(upkeep) = &statement.kind {
        return Ok(upkeep.describe());
    }
    let StatementKind::Sql(ast) = &statement.kind else { return Ok(Described::nothing()) };
    let (with, ast) = unwrapped(ast);
    match ast {
        Ast::Query(_) | Ast::Explain { .. } => {
            boxed(|| query::describe(session, state, statement, ast, declared)).await
        }
        Ast::Insert(insert) if overwrite::applies(insert) => {
            let insert = insert::behind(with, insert);
            boxed(|| overwrite::describe(session, state, &insert, declared)).await
        }
        Ast::Insert(insert) => {
            let insert = insert::behind(with, insert);
            boxed(|| insert::describe(session, state, &insert, declared)).await
        }
        Ast::Update(update) => boxed(|| update::describe(session, state, with, update, declared)).await,
        Ast::Delete(delete) => boxed(|| delete::describe(session, state, with, delete, declared)).await,
        Ast::Merge(merge) => boxed(|| merge::describe(session, state, with, merge, declared)).await,
        Ast::CreateTable(table) if table.query.is_some() => {
            boxed(|| create_table_as::describe(session, state, table, declared)).await
        }
        Ast::ShowVariable { .. } => setting::describe_show(session, ast),
        other => Ok(show::describe(other).unwrap_or_else(Described::nothing)),
    }
}

pub(crate) async fn run(
    session: &Session,
    state: &SessionState,
    statement: &Statement,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    match &statement.kind {
        StatementKind::Sql(ast) => boxed(|| run_sql(session, state, statement, ast, parameters)).await,
        StatementKind::CreateExternalTable(table) => boxed(|| create_external_table::run(session, state, table)).await,
        StatementKind::CreateModel(model) => boxed(|| model.run(session)).await,
        StatementKind::DropModel(model) => boxed(|| model.run(session)).await,
        StatementKind::CreateSecret(secret) => boxed(|| secret.run(session)).await,
        StatementKind::DropSecret(secret) => boxed(|| secret.run(session)).await,
        StatementKind::Upkeep(upkeep) => boxed(|| upkeep.run(session, state)).await,
        StatementKind::Copy(copy) => boxed(|| copy::run(session, state, copy)).await,
        StatementKind::Definition(definition) => boxed(|| definition.run(session, state)).await,
    }
}

async fn run_sql(
    session: &Session,
    state: &SessionState,
    statement: &Statement,
    ast: &Ast,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    let (with, ast) = unwrapped(ast);
    match ast {
        Ast::Query(_) | Ast::Explain { .. } => boxed(|| query::run(session, state, statement, ast, parameters)).await,
        Ast::Insert(insert) if overwrite::applies(insert) => {
            let insert = insert::behind(with, insert);
            boxed(|| overwrite::run(session, state, &insert, parameters)).await
        }
        Ast::Insert(insert) => {
            let insert = insert::behind(with, insert);
            boxed(|| insert::run(session, state, &insert, parameters)).await
        }
        Ast::Update(update) => boxed(|| update::run(session, state, with, update, parameters)).await,
        Ast::Delete(delete) => boxed(|| delete::run(session, state, with, delete, parameters)).await,
        Ast::Truncate(truncate) => boxed(|| truncate::run(session, state, truncate)).await,
        Ast::Merge(merge) => boxed(|| merge::run(session, state, with, merge, parameters)).await,
        Ast::CreateTable(table) if table.query.is_some() => {
            boxed(|| create_table_as::run(session, state, statement, table, parameters)).await
        }
        Ast::CreateTable(table) => boxed(|| create_table::run(session, state, table)).await,
        Ast::CreateSchema { schema_name, if_not_exists, .. } => {
            boxed(|| create_schema::run(session, schema_name, *if_not_exists)).await
        }
        Ast::Drop { object_type, if_exists, names, cascade, purge, temporary, .. } => {
            if *purge || *temporary {
                return Err(Error::unsupported(format!("{ast}")));
            }
            match object_type {
                ObjectType::Table => boxed(|| drop_table::run(session, "table", names, *if_exists, *cascade)).await,
                ObjectType::View => boxed(|| drop_table::run(session, "view", names, *if_exists, *cascade)).await,
                ObjectType::Schema => boxed(|| drop_schema::run(session, names, *if_exists, *cascade)).await,
                other => Err(Error::unsupported(format!("DROP {other}"))),
            }
        }
        Ast::Set(set) => setting::set(session, set),
        Ast::ShowVariable { variable } => setting::show(session, variable),
        Ast::ShowCatalogs { .. }
        | Ast::ShowDatabases { .. }
        | Ast::ShowSchemas { .. }
        | Ast::ShowTables { .. }
        | Ast::ShowViews { .. } => boxed(|| show::run(session, ast)).await,
        Ast::Reset(reset) => setting::reset(session, reset),
        Ast::StartTransaction { modes, .. } => transaction::begin(session, modes),
        Ast::Commit { .. } => boxed(|| transaction::commit(session)).await,
        Ast::Rollback { savepoint, .. } => boxed(|| transaction::roll_back(session, savepoint.as_ref())).await,
        Ast::Discard { object_type } => boxed(|| setting::discard(session, object_type)).await,
        // There are no channels and no SQL cursors, so there is nothing to close or to stop listening to.
        Ast::UNLISTEN { .. } => Ok(Execution::done("UNLISTEN")),
        Ast::Close { cursor: CloseCursor::All } => Ok(Execution::done("CLOSE CURSOR ALL")),
        Ast::Deallocate { name, .. } => {
            let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
            let tag = CommandTag::Deallocate((!all).then(|| target::folded(name)));
            Ok(Execution { tag, ..Execution::done("DEALLOCATE") })
        }
        other => Err(Error::unsupported(verb(other))),
    }
}

/// A statement's future, on the heap from the start: the frames of all statements together would be too much for the
/// stack of a thread.
#[inline(never)]
fn boxed<'a, F>(make: impl FnOnce() -> F) -> BoxFuture<'a, F::Output>
where
    F: Future + Send + 'a,
{
    Box::pin(make())
}

/// A statement that changes rows, without the WITH in front of it, which the grammar takes for a query's.
fn unwrapped(ast: &Ast) -> (Option<&With>, &Ast) {
    if let Ast::Query(query) = ast
        && let SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Merge(inner) =
            query.body.as_ref()
        && let Query { with: Some(with), order_by: None, limit_clause: None, fetch: None, .. } = query.as_ref()
    {
        return (Some(with), inner);
    }
    (None, ast)
}

/// Whether it may run in an aborted transaction block.
pub(crate) fn ends_transaction(statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::Sql(ast) => matches!(ast.as_ref(), Ast::Commit { .. } | Ast::Rollback { savepoint: None, .. }),
        _ => false,
    }
}

/// The first words of a statement, which is how an error names it.
fn verb(ast: &Ast) -> String {
    let text = ast.to_string();
    let words: Vec<&str> =
        text.split_whitespace().take(3).take_while(|word| word.chars().all(|c| c.is_ascii_uppercase())).collect();
    if words.is_empty() { "this statement".to_string() } else { words.join(" ") }
}
