//! Expressions that a statement needs the value of before it is planned: they name no columns.

use arrow::datatypes::DataType;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Expr;

use super::apart;
use crate::error::{Error, Kind, Result};

/// An expression as a query of one row. `place` is what it is given to.
pub(crate) async fn plan(state: &SessionState, expression: Expr, place: &str) -> Result<LogicalPlan> {
    let (state, query) = (state.clone(), crate::parser::selecting(expression)?);
    let planned =
        apart(async move { Ok(state.statement_to_plan(DataFusionStatement::Statement(Box::new(query))).await?) });
    planned.await.map_err(|error| match error.kind {
        Kind::UndefinedColumn => {
            Error::new(Kind::InvalidColumnReference, format!("argument of {place} must not contain variables"))
                .with_detail(format!("{}.", error.message))
        }
        _ => error,
    })
}

/// Its value now. `None` when it depends on parameters that aren't known yet, which is so while a statement is
/// prepared.
pub(crate) async fn value(
    state: &SessionState,
    plan: LogicalPlan,
    parameters: Option<&[ScalarValue]>,
) -> Result<Option<ScalarValue>> {
    let mut plan = plan;
    if let Some(name) = plan.get_parameter_names()?.into_iter().next() {
        let Some(parameters) = parameters else { return Ok(None) };
        if parameters.is_empty() {
            return Err(Error::new(Kind::UndefinedParameter, format!("there is no parameter {name}")));
        }
        let values = parameters.iter().map(|value| value.clone().into()).collect();
        plan = plan.with_param_values(ParamValues::List(values))?;
    }
    let planner = state.clone();
    let physical = apart(async move { Ok(planner.create_physical_plan(&plan).await?) }).await?;
    let batches = collect(physical, state.task_ctx()).await?;
    match batches.iter().find(|batch| batch.num_rows() > 0) {
        Some(batch) => Ok(Some(ScalarValue::try_from_array(batch.column(0), 0)?)),
        None => Ok(Some(ScalarValue::Null)),
    }
}

/// Puts the types that a client didn't declare of the plan's parameters into `declared`. `direct`: the type of a
/// parameter of which the plan doesn't tell.
pub(crate) fn declare_parameters(
    declared: &mut Vec<Option<DataType>>,
    plan: &LogicalPlan,
    direct: impl Fn(&str) -> Option<DataType>,
) -> Result<()> {
    for (name, field) in plan.get_parameter_fields()? {
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<u16>().ok());
        let Some(index) = number.and_then(|number| usize::from(number).checked_sub(1)) else { continue };
        if declared.len() <= index {
            declared.resize(index + 1, None);
        }
        let known = field.map(|field| field.data_type().clone()).filter(|data_type| *data_type != DataType::Null);
        if let Some(slot) = declared.get_mut(index) {
            *slot = slot.take().or(known).or_else(|| direct(&name));
        }
    }
    Ok(())
}
