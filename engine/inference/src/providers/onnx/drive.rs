//! Micro-batches of one call in flight: prepared on the CPU pool, run by the scheduler, finished on the CPU pool, a few
//! at a time, so that the next one is ready when the session is free. A failing batch is halved until the rows at
//! fault stand alone.

use std::{collections::VecDeque, ops::Range, sync::Arc, time::Duration};

use futures::stream::{FuturesUnordered, StreamExt};

use super::scheduler::{Call, Tensors};
use crate::{
    cpu,
    error::{Error, ErrorClass, Result, RowError},
    model::{InferOptions, RunStats},
};

/// One runs, one is ready, one is being prepared or finished.
const IN_FLIGHT: usize = 3;

/// A call in which this many rows failed one by one and none succeeded is not searched further: the rest of a failing
/// batch fails with it. Without a bound a model that always fails would be run twice for every row.
const LONE_FAILURES_MAX: u64 = 256;

/// What a kind of model does with the rows of one micro-batch. Rows are indices into the request.
pub(crate) trait Task: Send + Sync + 'static {
    type Piece: Send + 'static;

    fn prepare(&self, rows: &Rows) -> std::result::Result<Prepared, Refused>;

    fn finish(&self, rows: &Rows, outputs: Tensors) -> Result<Self::Piece>;

    /// Told after each run, so that the size of the next batches can follow.
    fn observe(&self, _rows: usize, _run: Duration) {}
}

pub(crate) struct Prepared {
    pub inputs: Tensors,
    /// Token slots of the batch, padding included; 0 for a graph over columns.
    pub padded_tokens: u64,
}

/// Why a batch can't be prepared.
#[derive(Debug)]
pub(crate) enum Refused {
    /// These rows of the request, each with its reason; the others can.
    Rows(Vec<(usize, String)>),
    Batch(Error),
}

pub(crate) struct Driven<P> {
    /// In no particular order.
    pub pieces: Vec<(Rows, P)>,
    pub errors: Vec<(usize, RowError)>,
    pub stats: RunStats,
}

/// Some rows of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rows {
    Span(Range<usize>),
    List(Arc<[u32]>),
}

enum Outcome<P> {
    Done(P),
    Refused(Refused),
    Failed(String),
}

struct Step<P> {
    rows: Rows,
    outcome: Outcome<P>,
    padded_tokens: u64,
    queue: Duration,
    run: Duration,
}

/// Runs every batch that `batches` yields.
pub(crate) async fn drive<T: Task>(
    task: &Arc<T>,
    call: &Call,
    mut batches: impl FnMut() -> Option<Rows>,
    options: &InferOptions,
) -> Result<Driven<T::Piece>> {
    let mut driven = Driven { pieces: Vec::new(), errors: Vec::new(), stats: RunStats::default() };
    let mut again: VecDeque<Rows> = VecDeque::new();
    let mut flight = FuturesUnordered::new();
    loop {
        while flight.len() < IN_FLIGHT
            && let Some(rows) = again.pop_front().or_else(&mut batches)
        {
            if !rows.is_empty() {
                flight.push(step(task, call, rows));
            }
        }
        let Some(step) = flight.next().await else {
            break;
        };
        settle(step?, &mut driven, &mut again, options)?;
    }
    driven.errors.sort_by_key(|(row, _)| *row);
    driven.stats.errors = driven.errors.len() as u64;
    Ok(driven)
}

async fn step<T: Task>(task: &Arc<T>, call: &Call, rows: Rows) -> Result<Step<T::Piece>> {
    let mut step = Step {
        rows,
        outcome: Outcome::Failed(String::new()),
        padded_tokens: 0,
        queue: Duration::ZERO,
        run: Duration::ZERO,
    };
    let (worker, rows) = (Arc::clone(task), step.rows.clone());
    let prepared = match cpu::run(move || worker.prepare(&rows)).await? {
        Ok(prepared) => prepared,
        Err(refused) => {
            step.outcome = Outcome::Refused(refused);
            return Ok(step);
        }
    };
    step.padded_tokens = prepared.padded_tokens;
    let ran = call.run(prepared.inputs).await?;
    (step.queue, step.run) = (ran.queue, ran.run);
    step.outcome = match ran.outputs {
        Err(message) => Outcome::Failed(message),
        Ok(outputs) => {
            task.observe(step.rows.len(), ran.run);
            let (worker, rows) = (Arc::clone(task), step.rows.clone());
            Outcome::Done(cpu::run(move || worker.finish(&rows, outputs)).await??)
        }
    };
    Ok(step)
}

/// Books a step: its result, its rows' errors, or what is to be tried again.
fn settle<P>(step: Step<P>, driven: &mut Driven<P>, again: &mut VecDeque<Rows>, options: &InferOptions) -> Result<()> {
    let stats = &mut driven.stats;
    stats.queue_ms += step.queue.as_secs_f64() * 1e3;
    stats.run_ms += step.run.as_secs_f64() * 1e3;
    stats.padded_tokens += step.padded_tokens;
    match step.outcome {
        Outcome::Done(piece) => {
            stats.runs += 1;
            driven.pieces.push((step.rows, piece));
        }
        Outcome::Refused(Refused::Batch(error)) => return Err(error),
        Outcome::Refused(Refused::Rows(bad)) if options.fail_on_error => {
            let first = bad.into_iter().min_by_key(|(row, _)| *row);
            let (row, message) = first.unwrap_or_default();
            return Err(Error::RowFailed { row, error: RowError::invalid(message) });
        }
        Outcome::Refused(Refused::Rows(bad)) => {
            again.push_front(step.rows.without(&bad));
            driven.errors.extend(bad.into_iter().map(|(row, message)| (row, RowError::invalid(message))));
        }
        Outcome::Failed(message) if options.fail_on_error => return Err(Error::RunFailed { message }),
        Outcome::Failed(message) => {
            stats.runs += 1;
            let hopeless = driven.pieces.is_empty() && driven.errors.len() as u64 >= LONE_FAILURES_MAX;
            if step.rows.len() > 1 && !hopeless {
                let (first, second) = step.rows.halves();
                again.push_front(second);
                again.push_front(first);
            } else {
                let error = RowError { class: ErrorClass::Runtime, message };
                driven.errors.extend(step.rows.iter().map(|row| (row, error.clone())));
            }
        }
    }
    Ok(())
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        match self {
            Rows::Span(span) => span.len(),
            Rows::List(list) => list.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Rows::Span(span) => Box::new(span.clone()),
            Rows::List(list) => Box::new(list.iter().map(|&row| row as usize)),
        }
    }

    fn halves(&self) -> (Rows, Rows) {
        let middle = self.len() / 2;
        match self {
            Rows::Span(span) => {
                (Rows::Span(span.start..span.start + middle), Rows::Span(span.start + middle..span.end))
            }
            Rows::List(list) => {
                let (first, second) = list.split_at(middle);
                (Rows::List(first.into()), Rows::List(second.into()))
            }
        }
    }

    /// The rows that are not in `bad`.
    fn without(&self, bad: &[(usize, String)]) -> Rows {
        let bad: std::collections::HashSet<usize> = bad.iter().map(|(row, _)| *row).collect();
        // Requests are shorter than 2^32 rows: `infer` checks it.
        Rows::List(self.iter().filter(|row| !bad.contains(row)).map(|row| row as u32).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_split_and_shrink() {
        let (first, second) = Rows::Span(10..15).halves();
        assert_eq!((first, second), (Rows::Span(10..12), Rows::Span(12..15)));
        let rest = Rows::Span(0..4).without(&[(1, String::new()), (3, String::new())]);
        assert_eq!(rest, Rows::List([0, 2].into()));
        let (first, second) = rest.halves();
        assert_eq!((first.len(), second.iter().collect::<Vec<_>>()), (1, vec![2]));
    }
}
