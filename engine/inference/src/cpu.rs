//! The threads for work around a run: tokenizing, filling tensors, pooling. Process-wide and as many as there are
//! cores, so that it neither blocks the async executor nor grows with the number of queries.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Runs `work` on the pool. Inside it rayon's parallel iterators use the same threads.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    pool()?.spawn(move || {
        // Nobody waits any more: the call was dropped before its turn came.
        if reply.is_closed() {
            return;
        }
        // A panic that left the closure would abort the process.
        let outcome = catch_unwind(AssertUnwindSafe(work));
        let _ = reply.send(outcome.map_err(|panic| Error::RunFailed { message: panic_message(&*panic) }));
    });
    answer.await.unwrap_or(Err(Error::Cancelled))
}

pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get())
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown failure".into())
}

fn pool() -> Result<&'static ThreadPool> {
    static POOL: OnceLock<std::result::Result<ThreadPool, String>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        ThreadPoolBuilder::new()
            .num_threads(threads())
            .thread_name(|index| format!("inference-cpu-{index}"))
            .build()
            .map_err(|error| error.to_string())
    });
    pool.as_ref().map_err(|message| Error::RunFailed { message: message.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error() {
        assert_eq!(run(|| 2).await.unwrap(), 2);
        let error = run(|| panic!("bad luck")).await.unwrap_err();
        assert_eq!(error, Error::RunFailed { message: "bad luck".into() });
    }
}
