//! Sorted rows stay in their order. A projection above a sort may drop what the sort is by: model calls are computed
//! there, for the rows that a limit leaves. DataFusion then knows of no order, deals the rows out to partitions, and
//! collects them as they come.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::Partitioning;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Doesn't deal rows out that one sorted stream brings. Stands behind the rule that does.
#[derive(Debug)]
pub(super) struct KeptOrder;

impl PhysicalOptimizerRule for KeptOrder {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let kept = plan.transform_up(|node| match dealt_out(&node) {
            Some(sorted) => Ok(Transformed::yes(sorted)),
            None => Ok(Transformed::no(node)),
        });
        kept.data()
    }

    fn name(&self) -> &str {
        "kept_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The input of a node that deals out the rows of a sort.
fn dealt_out(node: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let repartition = node.downcast_ref::<RepartitionExec>()?;
    let input = repartition.input();
    let in_turn = matches!(repartition.partitioning(), Partitioning::RoundRobinBatch(_));
    (in_turn && input.output_partitioning().partition_count() == 1 && sorted(input)).then(|| Arc::clone(input))
}

/// Whether the rows come as a sort has put them.
fn sorted(node: &Arc<dyn ExecutionPlan>) -> bool {
    if node.is::<SortExec>() || node.is::<SortPreservingMergeExec>() {
        return true;
    }
    match node.children().as_slice() {
        [input] => node.maintains_input_order() == [true] && sorted(input),
        _ => false,
    }
}
