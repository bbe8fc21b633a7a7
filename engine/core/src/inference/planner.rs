//! From the logical node to the operator.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use super::exec::{Asked, InferenceExec};
use super::node::Inference;
use super::usage::UsageLog;
use crate::error::{Error, Kind};
use crate::models::Models;

pub(super) struct InferencePlanner {
    models: Arc<Models>,
    usage: Arc<UsageLog>,
}

impl InferencePlanner {
    pub fn new(models: Arc<Models>, usage: Arc<UsageLog>) -> Self {
        Self { models, usage }
    }
}

#[async_trait]
impl ExtensionPlanner for InferencePlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _planning_ctx: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<Inference>() else { return Ok(None) };
        let Some(input) = physical_inputs.first() else {
            return Err(Error::internal("an inference node has one input").into());
        };
        let below = node.input.schema();
        let asked = node.calls.iter().map(|call| {
            let entry = self.models.entry(&call.model)?;
            if entry.sha256 != call.sha256 {
                let message = format!("model \"{}\" was replaced while the statement was planned", call.model);
                return Err(Error::new(Kind::SerializationFailure, message)
                    .with_hint("Run the statement again.")
                    .into());
            }
            Ok(Asked {
                request: below.index_of_column(&call.request)?,
                guard: call.guard.as_ref().map(|guard| below.index_of_column(guard)).transpose()?,
                call: call.clone(),
                entry,
            })
        });
        let asked = asked.collect::<Result<Vec<_>>>()?;
        let models = Arc::clone(&self.models);
        Ok(Some(Arc::new(InferenceExec::try_new(Arc::clone(input), asked, models, Arc::clone(&self.usage))?)))
    }
}
