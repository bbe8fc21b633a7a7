//! What a statement reads beside plain tables, found before it is planned: tables at a version.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;

use super::Described;
use crate::error::Result;
use crate::execution::Execution;
use crate::parser::{Statement, StatementKind};
use crate::planning::versions;
use crate::session::Session;

pub(crate) async fn describe(
    session: &Session,
    state: &SessionState,
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<Described> {
    if !statement.versioned {
        return super::describe(session, state, statement, declared).await;
    }
    let mut plain = statement.clone();
    let mut declared = declared.to_vec();
    if let StatementKind::Sql(ast) = &mut plain.kind {
        declared = versions::parameter_types(state, ast, &declared).await?;
        versions::resolve(state, ast, None).await?;
    }
    super::describe(session, state, &plain, &declared).await
}

pub(crate) async fn run(
    session: &Session,
    state: &SessionState,
    statement: &Statement,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    if !statement.versioned {
        return super::run(session, state, statement, parameters).await;
    }
    let mut plain = statement.clone();
    if let StatementKind::Sql(ast) = &mut plain.kind {
        versions::resolve(state, ast, Some(&parameters)).await?;
    }
    super::run(session, state, &plain, parameters).await
}
