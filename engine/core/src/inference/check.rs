//! Finds what is wrong with a call before anything runs: a model that doesn't exist, a request that doesn't fit it,
//! a result that can't be cast as asked.

use std::sync::Arc;

use alluvia_udfs::parse_call;
use arrow::compute::can_cast_types;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::call;
use crate::error::{Error, Kind};
use crate::models::Models;

#[derive(Debug)]
pub(super) struct CheckCalls {
    models: Arc<Models>,
}

impl CheckCalls {
    pub fn new(models: Arc<Models>) -> Self {
        Self { models }
    }

    fn check_node(&self, plan: &LogicalPlan) -> Result<TreeNodeRecursion> {
        if call::node_contains_call(plan) {
            let schema = input_schema(plan)?;
            plan.apply_expressions(|expr| {
                for call in call::outermost_calls(expr)? {
                    call.apply(|inner| {
                        self.check_call(inner, &schema)?;
                        Ok(TreeNodeRecursion::Continue)
                    })?;
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn check_call(&self, expr: &Expr, schema: &DFSchema) -> Result<()> {
        let Some(call) = parse_call(expr)? else { return Ok(()) };
        let entry = self.models.entry(&call.model)?;
        let request = call.request.get_type(schema)?;
        if request != DataType::Null {
            entry.spec.bind(&request).map_err(Error::from)?;
        }
        let output = entry.spec.output_type();
        match &call.return_type {
            Some(wanted) if !can_cast_types(&output, wanted) => {
                let message = format!("model \"{}\" returns {output}, which cannot be cast to {wanted}", entry.name);
                Err(Error::new(Kind::DatatypeMismatch, message)
                    .with_hint("Leave out returnType to get the model's own type.")
                    .into())
            }
            _ => Ok(()),
        }
    }
}

impl AnalyzerRule for CheckCalls {
    fn name(&self) -> &str {
        "check_model_calls"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| self.check_node(node))?;
        Ok(plan)
    }
}

/// The columns that a node's expressions are over: those of all its inputs.
fn input_schema(plan: &LogicalPlan) -> Result<DFSchemaRef> {
    let mut schemas = plan.inputs().into_iter().map(LogicalPlan::schema);
    let Some(first) = schemas.next() else { return Ok(Arc::new(DFSchema::empty())) };
    let mut merged = Arc::clone(first);
    for schema in schemas {
        merged = Arc::new(merged.join(schema)?);
    }
    Ok(merged)
}
