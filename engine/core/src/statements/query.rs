//! `SELECT`, `VALUES`, `WITH`, `EXPLAIN`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::common::ScalarValue;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement as Ast;
use futures::StreamExt;

use super::parameters::parameter_types;
use super::{Described, Usage};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::parser::{Statement, mentions_default_embedding};
use crate::planning::apart;
use crate::session::Session;

pub(super) const USAGE: Usage =
    Usage { statement: "SELECT", usage: "[WITH ...] SELECT ... | VALUES ... | EXPLAIN [ANALYZE] [VERBOSE] <query>" };

pub(super) async fn describe(
    session: &Session,
    state: &SessionState,
    statement: &Statement,
    ast: &Ast,
    declared: &[Option<DataType>],
) -> Result<Described> {
    let plan = plan(session, state, ast).await?;
    let (state, declared) = (state.clone(), declared.to_vec());
    let described = apart(async move {
        let parameters = parameter_types(&plan, &declared)?;
        let plan = typed(plan, &parameters)?;
        // Analysis finds what a client should hear of at Parse, and gives the result its final types.
        let plan = analyzed(&state, plan)?;
        Ok((Arc::clone(plan.schema().inner()), parameters))
    });
    let (schema, parameters) = described.await?;
    Ok(Described::rows(shown(statement, schema), parameters))
}

pub(super) async fn run(
    session: &Session,
    state: &SessionState,
    statement: &Statement,
    ast: &Ast,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    let plan = with_parameters(plan(session, state, ast).await?, parameters)?;
    let verb = if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) { "EXPLAIN" } else { "SELECT" };
    let planned = {
        let state = state.clone();
        apart(async move { Ok(state.create_physical_plan(&plan).await?) })
    };
    let stream = execute_stream(planned.await?, state.task_ctx())?;
    let schema = shown(statement, stream.schema());
    Ok(Execution::rows(verb, renamed(stream, schema)))
}

/// Plans a query, on tables as they are now.
pub(super) async fn plan(session: &Session, state: &SessionState, ast: &Ast) -> Result<LogicalPlan> {
    plan_in(&session.engine, state, ast).await
}

/// The same for a query that no statement of the session has, such as a view's.
pub(crate) async fn plan_in(engine: &Engine, state: &SessionState, ast: &Ast) -> Result<LogicalPlan> {
    if mentions_default_embedding(ast, engine.models.default_embedding()) {
        engine.models.ensure_default().await?;
    }
    let (planner, statement) = (state.clone(), planner_statement(ast.clone()));
    let plan = apart(async move { Ok(planner.statement_to_plan(statement).await?) }).await?;
    read_only().verify_plan(&plan).map_err(|_| {
        Error::unsupported("a statement that writes, inside a query or EXPLAIN")
            .with_hint("Run it as a statement of its own.")
    })?;
    Ok(plan)
}

/// The planner's wrapping of a statement.
pub(super) fn planner_statement(ast: Ast) -> DataFusionStatement {
    DataFusionStatement::Statement(Box::new(ast))
}

/// Queries read. What writes goes through statements of its own, which keep constraints and transactions.
fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// The plan with NULLs of the parameters' types in their places: for its schema only.
pub(super) fn typed(plan: LogicalPlan, parameters: &[DataType]) -> Result<LogicalPlan> {
    let nulls = parameters.iter().map(ScalarValue::try_from).collect::<Result<Vec<_>, _>>()?;
    with_parameters(plan, nulls)
}

pub(super) fn with_parameters(plan: LogicalPlan, parameters: Vec<ScalarValue>) -> Result<LogicalPlan> {
    if parameters.is_empty() {
        if let Some(name) = plan.get_parameter_types()?.into_keys().next() {
            return Err(Error::new(Kind::UndefinedParameter, format!("there is no parameter {name}")));
        }
        return Ok(plan);
    }
    let values = parameters.into_iter().map(|value| ScalarAndMetadata::new(value, None)).collect();
    Ok(plan.with_param_values(ParamValues::List(values))?)
}

pub(super) fn analyzed(state: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?)
}

fn shown(statement: &Statement, schema: SchemaRef) -> SchemaRef {
    match &statement.names {
        Some(names) => names.apply(&schema),
        None => schema,
    }
}

/// The same stream under the client's column names.
pub(super) fn renamed(stream: SendableRecordBatchStream, schema: SchemaRef) -> SendableRecordBatchStream {
    if stream.schema() == schema {
        return stream;
    }
    let outer = Arc::clone(&schema);
    let batches = stream.map(move |batch| {
        let batch = batch?;
        // Operators may hand on batches whose fields are more or less nullable than the plan says.
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), batch.columns().to_vec(), &options)?)
    });
    Box::pin(RecordBatchStreamAdapter::new(outer, batches))
}
