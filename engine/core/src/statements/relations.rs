//! What a statement reads beside plain tables, found before it is planned: tables at a version, and what table
//! functions stand for.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;

use super::Described;
use crate::error::Result;
use crate::execution::Execution;
use crate::parser::{Statement, StatementKind};
use crate::planning::versions;
use crate::session::Session;
use crate::table_functions;

pub(crate) async fn describe(
    session: &Session,
    state: &SessionState,
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<Described> {
    if !statement.reads_beside_tables {
        return super::boxed(|| super::describe(session, state, statement, declared)).await;
    }
    let (mut plain, mut state, mut declared) = (statement.clone(), state.clone(), declared.to_vec());
    if let StatementKind::Sql(ast) = &mut plain.kind {
        declared = versions::parameter_types(&state, ast, &declared).await?;
        table_functions::declare_parameters(&state, ast, &mut declared).await?;
        super::boxed(|| versions::resolve(&state, ast, None)).await?;
        table_functions::resolve(session, &mut state, ast, None).await?;
    }
    super::boxed(|| super::describe(session, &state, &plain, &declared)).await
}

pub(crate) async fn run(
    session: &Session,
    state: &SessionState,
    statement: &Statement,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    if !statement.reads_beside_tables {
        return super::boxed(|| super::run(session, state, statement, parameters)).await;
    }
    let (mut plain, mut state) = (statement.clone(), state.clone());
    if let StatementKind::Sql(ast) = &mut plain.kind {
        super::boxed(|| versions::resolve(&state, ast, Some(&parameters))).await?;
        table_functions::resolve(session, &mut state, ast, Some(&parameters)).await?;
    }
    super::boxed(|| super::run(session, &state, &plain, parameters)).await
}
