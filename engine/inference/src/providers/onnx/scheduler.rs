//! Who runs when: one operating-system thread per session, a bounded queue before it, turns among queries.
//!
//! A run can be ended only between the graph's kernels, so micro-batches are small; that is what makes turns fair and
//! cancellation prompt.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ort::{
    session::{RunOptions, Session},
    value::DynValue,
};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::message_of;
use crate::{
    cpu,
    error::{Error, Result},
};

/// Micro-batches that may wait at once, over all queries. Who finds the queue full waits its turn outside.
const QUEUE_JOBS_MAX: usize = 256;

/// Named tensors, on their way into a graph or out of it.
pub(crate) type Tensors = Vec<(String, DynValue)>;

/// The queue and the thread of one session.
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
}

/// One call's place in the queue. Dropping it removes what waits and terminates what runs.
pub(crate) struct Call {
    id: u64,
    query: u64,
    shared: Arc<Shared>,
    /// When the session last finished something of this call.
    ended: Arc<Mutex<Option<Instant>>>,
}

/// What became of one micro-batch.
pub(crate) struct Ran {
    /// The outputs, or the runtime's message.
    pub outputs: std::result::Result<Tensors, String>,
    pub queue: Duration,
    pub run: Duration,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    slots: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    queues: HashMap<u64, VecDeque<Job>>,
    /// Queries that have jobs waiting, the next one first.
    turns: VecDeque<u64>,
    running: Option<(u64, Arc<RunOptions>)>,
    closed: bool,
}

struct Job {
    call: u64,
    inputs: Tensors,
    options: Arc<RunOptions>,
    submitted: Instant,
    ended: Arc<Mutex<Option<Instant>>>,
    reply: oneshot::Sender<Ran>,
    _slot: OwnedSemaphorePermit,
}

impl Scheduler {
    pub(crate) fn start(session: Session) -> Result<Scheduler> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            slots: Arc::new(Semaphore::new(QUEUE_JOBS_MAX)),
        });
        let worker = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("inference-run".into())
            .spawn(move || work(session, &worker))
            .map_err(|error| Error::RunFailed { message: error.to_string() })?;
        Ok(Scheduler { shared })
    }

    pub(crate) fn call(&self, query: u64) -> Call {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let id = CALLS.fetch_add(1, Ordering::Relaxed);
        Call { id, query, shared: Arc::clone(&self.shared), ended: Arc::default() }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Call {
    /// Waits for a place in the queue, for the turn and for the run.
    pub(crate) async fn run(&self, inputs: Tensors) -> Result<Ran> {
        let slot = Arc::clone(&self.shared.slots).acquire_owned().await.map_err(|_| Error::Cancelled)?;
        let options = RunOptions::new().map_err(|error| Error::RunFailed { message: message_of(&error) })?;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            call: self.id,
            inputs,
            options: Arc::new(options),
            submitted: Instant::now(),
            ended: Arc::clone(&self.ended),
            reply,
            _slot: slot,
        };
        self.shared.push(self.query, job)?;
        answer.await.map_err(|_| Error::Cancelled)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        if let Some(queue) = state.queues.get_mut(&self.query) {
            queue.retain(|job| job.call != self.id);
        }
        if let Some((call, options)) = &state.running
            && *call == self.id
            && let Err(error) = options.terminate()
        {
            tracing::warn!(%error, "a model run could not be terminated");
        }
    }
}

impl Shared {
    fn push(&self, query: u64, job: Job) -> Result<()> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Cancelled);
        }
        let queue = state.queues.entry(query).or_default();
        queue.push_back(job);
        if queue.len() == 1 && !state.turns.contains(&query) {
            state.turns.push_back(query);
        }
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// The next job of the query whose turn it is; `None` once the scheduler is gone.
    fn pop(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                state.queues.clear();
                return None;
            }
            while let Some(query) = state.turns.pop_front() {
                let job = state.queues.get_mut(&query).and_then(VecDeque::pop_front);
                if state.queues.get(&query).is_some_and(|queue| !queue.is_empty()) {
                    state.turns.push_back(query);
                } else {
                    state.queues.remove(&query);
                }
                if let Some(job) = job {
                    state.running = Some((job.call, Arc::clone(&job.options)));
                    return Some(job);
                }
            }
            self.wake.wait(&mut state);
        }
    }
}

fn work(mut session: Session, shared: &Shared) {
    while let Some(job) = shared.pop() {
        let started = Instant::now();
        let waiting_since = job.ended.lock().map_or(job.submitted, |ended| ended.max(job.submitted));
        let (inputs, options) = (job.inputs, job.options);
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut session, inputs, &options)));
        let outputs = outcome.unwrap_or_else(|panic| Err(cpu::panic_message(&*panic)));
        let ended = Instant::now();
        shared.state.lock().running = None;
        *job.ended.lock() = Some(ended);
        let queue = started.saturating_duration_since(waiting_since);
        let _ = job.reply.send(Ran { outputs, queue, run: ended - started });
    }
}

fn run(session: &mut Session, inputs: Tensors, options: &RunOptions) -> std::result::Result<Tensors, String> {
    let mut outputs = session.run_with_options(inputs, options).map_err(|error| message_of(&error))?;
    let names: Vec<String> = outputs.keys().filter(|name| !name.is_empty()).map(str::to_string).collect();
    Ok(names.into_iter().filter_map(|name| outputs.remove(&name).map(|value| (name, value))).collect())
}
