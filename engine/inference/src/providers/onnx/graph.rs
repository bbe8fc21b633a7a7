//! Requests over columns: cut into micro-batches by rows, and the pieces put back in the request's order.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arrow::{
    array::{Array, ArrayRef, StructArray, UInt32Array, new_empty_array, new_null_array},
    compute::{concat, take},
    datatypes::{DataType, Fields},
};

use super::{
    columns,
    drive::{self, Prepared, Refused, Rows, Task},
    outputs,
    scheduler::{Scheduler, Tensors},
};
use crate::{
    binding::Binding,
    cpu,
    error::{Error, Result},
    model::{InferOptions, Inferred},
    options::ModelOptions,
    spec::ModelSpec,
};

/// The first micro-batch; later ones follow the measured speed.
const BATCH_ROWS_START: usize = 4_096;
const BATCH_ROWS_MAX: usize = 65_536;
/// Values of one micro-batch's inputs and outputs, so that wide rows come in short batches.
const BATCH_VALUES_MAX: usize = 4 << 20;
/// A run that takes less than this grows the next batch, one that takes more than the other shrinks it: long enough
/// that the cost of a run doesn't show, short enough that a cancel takes effect at once.
const RUN_SHORT: Duration = Duration::from_millis(20);
const RUN_LONG: Duration = Duration::from_millis(80);

pub(crate) struct GraphRunner {
    spec: Arc<ModelSpec>,
    /// Rows of the next micro-batch; shared by all calls, for the speed is the model's.
    batch_rows: Arc<AtomicUsize>,
    batch_rows_max: usize,
    adaptive: bool,
}

struct GraphTask {
    spec: Arc<ModelSpec>,
    binding: Binding,
    request: ArrayRef,
    batch_rows: Arc<AtomicUsize>,
    batch_rows_max: usize,
    adaptive: bool,
}

impl GraphRunner {
    pub(crate) fn new(spec: Arc<ModelSpec>, options: &ModelOptions) -> GraphRunner {
        let fixed = spec.inputs.iter().find_map(|port| port.fixed_rows());
        let row_values: usize =
            spec.inputs.iter().chain(&spec.outputs).map(|port| port.row_width().unwrap_or(64)).sum();
        let fitting = (BATCH_VALUES_MAX / row_values.max(1)).clamp(1, BATCH_ROWS_MAX);
        let chosen = fixed.or(options.batch_rows);
        let rows = chosen.unwrap_or(BATCH_ROWS_START.min(fitting));
        GraphRunner {
            spec,
            batch_rows: Arc::new(AtomicUsize::new(rows.max(1))),
            batch_rows_max: fitting,
            adaptive: chosen.is_none(),
        }
    }

    pub(crate) fn estimate_bytes(&self, rows: usize) -> usize {
        let row_bytes = |ports: &[crate::spec::Port]| -> usize {
            ports.iter().map(|port| port.row_width().unwrap_or(64).saturating_mul(port.element.size_bytes())).sum()
        };
        let (inputs, outputs) = (row_bytes(&self.spec.inputs), row_bytes(&self.spec.outputs));
        let batch = rows.min(if self.adaptive { self.batch_rows_max } else { self.batch_rows.load(Ordering::Relaxed) });
        // Results exist as pieces and as the whole; inputs of every batch in flight, with one cast copy.
        let results = rows.saturating_mul(outputs).saturating_mul(2);
        results.saturating_add(batch.saturating_mul(inputs.saturating_mul(4).saturating_add(outputs)))
    }

    pub(crate) async fn infer(
        &self,
        scheduler: &Scheduler,
        request: ArrayRef,
        binding: Binding,
        options: &InferOptions,
    ) -> Result<Inferred> {
        let length = request.len();
        if u32::try_from(length).is_err() {
            return Err(Error::RunFailed { message: format!("a request of {length} rows is too long") });
        }
        let task = Arc::new(GraphTask {
            spec: Arc::clone(&self.spec),
            binding,
            request,
            batch_rows: Arc::clone(&self.batch_rows),
            batch_rows_max: self.batch_rows_max,
            adaptive: self.adaptive,
        });
        let planner = Arc::clone(&task);
        let plan = cpu::run(move || planner.plan()).await?;
        let mut batches = Batches { groups: plan, group: 0, position: 0, rows: Arc::clone(&self.batch_rows) };
        let call = scheduler.call(options.query_id);
        let driven = drive::drive(&task, &call, || batches.next(), options).await?;
        let (spec, pieces) = (Arc::clone(&self.spec), driven.pieces);
        let values = cpu::run(move || assemble(&spec, pieces, length)).await??;
        Ok(Inferred { values, errors: driven.errors, input_tokens: None, truncated: None, stats: driven.stats })
    }
}

impl GraphTask {
    /// The rows to run, in groups that may share a micro-batch. A graph whose input has an open width takes rows of
    /// one width at a time.
    fn plan(&self) -> Vec<Rows> {
        let nulls = self.request.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let open = self.spec.inputs.iter().zip(&self.binding.sources).filter(|(port, _)| port.row_width().is_none());
        let lengths: Vec<Vec<usize>> =
            open.filter_map(|(_, source)| columns::row_lengths(&self.request, source)).collect();
        if nulls.is_none() && lengths.is_empty() {
            return vec![Rows::Span(0..self.request.len())];
        }
        let valid = |row: &usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row));
        let key =
            |row: usize| -> Vec<usize> { lengths.iter().map(|column| column.get(row).copied().unwrap_or(0)).collect() };
        let mut groups: std::collections::BTreeMap<Vec<usize>, Vec<u32>> = std::collections::BTreeMap::new();
        for row in (0..self.request.len()).filter(valid) {
            groups.entry(key(row)).or_default().push(row as u32);
        }
        groups.into_values().map(|rows| Rows::List(rows.into())).collect()
    }

    fn dense(&self, rows: &Rows) -> Result<ArrayRef, Error> {
        match rows {
            Rows::Span(span) => Ok(self.request.slice(span.start, span.len())),
            Rows::List(list) => {
                let indices = UInt32Array::from(list.to_vec());
                take(&self.request, &indices, None).map_err(|error| Error::RunFailed { message: error.to_string() })
            }
        }
    }

    /// Rows the run must have at least: those that the graph fixes, else two, for the runtime multiplies a single row
    /// by other kernels, which round otherwise (seen in LinearClassifier), and a row's bits must not depend on its
    /// company.
    fn rows_min(&self) -> usize {
        const ROWS_MIN: usize = 2;
        self.spec.inputs.iter().find_map(|port| port.fixed_rows()).unwrap_or(ROWS_MIN)
    }
}

impl Task for GraphTask {
    type Piece = Vec<ArrayRef>;

    fn prepare(&self, rows: &Rows) -> std::result::Result<Prepared, Refused> {
        let dense = self.dense(rows).map_err(Refused::Batch)?;
        match columns::tensors(&dense, &self.spec, &self.binding, self.rows_min()) {
            Ok(inputs) => Ok(Prepared { inputs, padded_tokens: 0 }),
            Err(Refused::Rows(bad)) => {
                let at: Vec<usize> = rows.iter().collect();
                let absolute = bad.into_iter().filter_map(|(index, why)| at.get(index).map(|&row| (row, why)));
                Err(Refused::Rows(absolute.collect()))
            }
            Err(refused) => Err(refused),
        }
    }

    fn finish(&self, rows: &Rows, outputs: Tensors) -> Result<Vec<ArrayRef>> {
        outputs::columns(outputs, &self.spec.outputs, rows.len(), rows.len().max(self.rows_min()))
    }

    fn observe(&self, rows: usize, run: Duration) {
        let current = self.batch_rows.load(Ordering::Relaxed);
        if !self.adaptive || rows < current {
            return;
        }
        let wanted = match run {
            short if short < RUN_SHORT => (current * 2).min(self.batch_rows_max),
            long if long > RUN_LONG => (current / 2).max(1),
            _ => current,
        };
        self.batch_rows.store(wanted, Ordering::Relaxed);
    }
}

/// Cuts groups of rows into micro-batches of the size that is current when each is asked for.
struct Batches {
    groups: Vec<Rows>,
    group: usize,
    position: usize,
    rows: Arc<AtomicUsize>,
}

impl Batches {
    fn next(&mut self) -> Option<Rows> {
        loop {
            let group = self.groups.get(self.group)?;
            let size = self.rows.load(Ordering::Relaxed).max(1);
            let range = self.position..self.position.saturating_add(size).min(group.len());
            if range.is_empty() {
                (self.group, self.position) = (self.group + 1, 0);
                continue;
            }
            self.position = range.end;
            return Some(cut(group, range));
        }
    }
}

fn cut(rows: &Rows, range: Range<usize>) -> Rows {
    match rows {
        Rows::Span(span) => Rows::Span(span.start + range.start..span.start + range.end),
        Rows::List(list) => Rows::List(list.get(range).unwrap_or_default().into()),
    }
}

/// Puts the pieces of all micro-batches in the request's order; rows without one are NULL.
fn assemble(spec: &ModelSpec, mut pieces: Vec<(Rows, Vec<ArrayRef>)>, length: usize) -> Result<ArrayRef> {
    pieces.sort_by_key(|(rows, _)| rows.iter().next());
    let order: Vec<usize> = pieces.iter().flat_map(|(rows, _)| rows.iter()).collect();
    if order.is_empty() {
        return Ok(match length {
            0 => new_empty_array(&spec.output_type()),
            _ => new_null_array(&spec.output_type(), length),
        });
    }
    let in_order = order.len() == length && order.iter().enumerate().all(|(position, &row)| position == row);
    let mut results = Vec::with_capacity(spec.outputs.len());
    for output in 0..spec.outputs.len() {
        let parts: Vec<&dyn Array> =
            pieces.iter().filter_map(|(_, columns)| columns.get(output)).map(|column| column.as_ref()).collect();
        results.push(concat(&parts).map_err(arrow_failed)?);
    }
    let dense: ArrayRef = match (results.pop(), spec.output_type()) {
        (Some(only), _) if results.is_empty() => only,
        (Some(last), DataType::Struct(fields)) => {
            results.push(last);
            structure(fields, results)?
        }
        _ => return Err(Error::RunFailed { message: "the model has no output".into() }),
    };
    if in_order {
        return Ok(dense);
    }
    let mut positions: Vec<Option<u32>> = vec![None; length];
    for (position, &row) in order.iter().enumerate() {
        if let Some(slot) = positions.get_mut(row) {
            *slot = Some(position as u32);
        }
    }
    take(&dense, &UInt32Array::from(positions), None).map_err(arrow_failed)
}

fn structure(fields: Fields, columns: Vec<ArrayRef>) -> Result<ArrayRef> {
    Ok(Arc::new(StructArray::try_new(fields, columns, None).map_err(arrow_failed)?))
}

fn arrow_failed(error: arrow::error::ArrowError) -> Error {
    Error::RunFailed { message: format!("the results cannot be put together: {error}") }
}
