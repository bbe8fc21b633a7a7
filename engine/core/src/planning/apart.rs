//! Planning apart from its statement's task. It computes without a pause, so a statement that is cancelled, late or
//! alone would otherwise go on to the end of its planning before it noticed.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::{Error, Result};

tokio::task_local! {
    /// Cancelled when nobody waits for this task's plan any more.
    static UNWANTED: CancellationToken;
}

/// Runs `work` as a task of its own. Dropping the future ends the task at its next pause, or at the next rule of the
/// optimizer. `work` must not write anything: whoever gave it up doesn't know how far it came.
pub(crate) async fn apart<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let unwanted = CancellationToken::new();
    let task = tokio::spawn(UNWANTED.scope(unwanted.clone(), work));
    let mut task = Abandoned { task, _unwanted: unwanted.drop_guard() };
    match (&mut task.task).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::canceled("user request")),
    }
}

struct Abandoned<T> {
    task: JoinHandle<T>,
    _unwanted: DropGuard,
}

impl<T> Drop for Abandoned<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The rules with a look at whether the plan is still wanted before each.
pub(super) fn interruptible(
    rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let checkpoint: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(Checkpoint);
    rules.into_iter().flat_map(|rule| [Arc::clone(&checkpoint), rule]).collect()
}

/// Changes no plan; ends the optimizer's work on one that nobody waits for.
#[derive(Debug)]
struct Checkpoint;

impl OptimizerRule for Checkpoint {
    fn name(&self) -> &str {
        "checkpoint"
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> PlanResult<Transformed<LogicalPlan>> {
        if UNWANTED.try_with(CancellationToken::is_cancelled).unwrap_or(false) {
            return Err(Error::canceled("user request").into());
        }
        Ok(Transformed::no(plan))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_gives_up_need_not_wait() {
        let begun_at = Instant::now();
        let work = apart(async {
            std::thread::sleep(Duration::from_secs(2));
            Ok(UNWANTED.with(CancellationToken::is_cancelled))
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), work).await.is_err());
        assert!(begun_at.elapsed() < Duration::from_secs(1));
        assert!(!apart(async { Ok(UNWANTED.with(CancellationToken::is_cancelled)) }).await.unwrap());
    }
}
