//! Requests of text: tokenized as a whole, sorted by length, cut into micro-batches by padded tokens, and the results
//! put back in the request's order.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float32Array, ListArray, StringArray, StructArray},
    buffer::{NullBuffer, OffsetBuffer},
    compute::cast,
    datatypes::{DataType, Field},
};
use ort::value::{DynValue, Tensor};

use super::{
    drive::{self, Driven, Prepared, Refused, Rows, Task},
    folder, message_of, outputs, pooling,
    scheduler::{Scheduler, Tensors},
    tokenizer::{TextTokenizer, Tokens},
};
use crate::{
    binding::{Binding, Source},
    cpu,
    error::{Error, Result, RowError},
    model::{InferOptions, Inferred},
    options::ModelOptions,
    spec::{Element, Kind, ModelSpec, Port, classifier_fields},
};

/// Rows of one micro-batch, however short they are.
const BATCH_ROWS_MAX: usize = 512;
/// Where nothing says how long a text may be.
pub(crate) const MAX_LENGTH_DEFAULT: usize = 512;

pub(crate) struct TextRunner {
    spec: Arc<ModelSpec>,
    tokenizer: TextTokenizer,
    /// The graph's own inputs, token ids among them.
    inputs: Vec<Port>,
    batch_tokens: usize,
    batch_rows: usize,
}

/// One call: every row's tokens; empty for rows that are not run.
struct TextTask {
    runner: Arc<TextRunner>,
    tokens: Vec<Tokens>,
}

/// Tells the tokenizer's threads that nobody waits any more.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl TextRunner {
    pub(crate) fn open(
        path: &Path,
        spec: &Arc<ModelSpec>,
        options: &ModelOptions,
        inputs: &[Port],
        batch_tokens: usize,
    ) -> Result<TextRunner> {
        let max_length = spec.max_length.unwrap_or(MAX_LENGTH_DEFAULT);
        let tokenizer = TextTokenizer::open(folder::folder_of(path), &spec.text, max_length)?;
        Ok(TextRunner {
            spec: Arc::clone(spec),
            tokenizer,
            inputs: inputs.to_vec(),
            batch_tokens,
            batch_rows: options.batch_rows.unwrap_or(BATCH_ROWS_MAX),
        })
    }

    pub(crate) fn estimate_bytes(&self, request: &ArrayRef) -> usize {
        let rows = request.len();
        let max_length = self.tokenizer.max_length();
        // A text has no more tokens than bytes; all columns of the request count, for want of a binding.
        let tokens = request.get_array_memory_size().min(rows.saturating_mul(max_length));
        let dimension = self.spec.dimension.unwrap_or(768);
        let result = match self.spec.kind {
            Kind::Encoder => dimension.saturating_mul(4),
            _ => 64,
        };
        // A transformer layer holds about 16 vectors a token, and 12 heads hold two scores for each pair of tokens.
        let slots = self.batch_tokens.max(max_length).min(rows.saturating_mul(max_length));
        let token_bytes = dimension.saturating_mul(64).saturating_add(max_length.saturating_mul(96));
        rows.saturating_mul(result.saturating_mul(2).saturating_add(64))
            .saturating_add(tokens.saturating_mul(4))
            .saturating_add(slots.saturating_mul(token_bytes))
    }

    /// The rows of a run, longest first, so that the largest batch comes before memory is fragmented.
    fn batches(&self, tokens: &[Tokens], mut rows: Vec<u32>) -> Vec<Rows> {
        let length = |row: &u32| tokens.get(*row as usize).map_or(0, |tokens| tokens.ids.len()).max(1);
        rows.sort_by_key(|row| (std::cmp::Reverse(length(row)), *row));
        let mut batches = Vec::new();
        let mut rest = rows.as_slice();
        while let Some(longest) = rest.first().map(length) {
            let fitting = (self.batch_tokens / longest).clamp(1, self.batch_rows.max(1)).min(rest.len());
            let (batch, remaining) = rest.split_at(fitting);
            batches.push(Rows::List(batch.into()));
            rest = remaining;
        }
        batches
    }
}

/// See `Model::infer`.
pub(crate) async fn infer(
    runner: &Arc<TextRunner>,
    scheduler: &Scheduler,
    request: ArrayRef,
    binding: Binding,
    options: &InferOptions,
) -> Result<Inferred> {
    let length = request.len();
    if u32::try_from(length).is_err() {
        return Err(Error::RunFailed { message: format!("a request of {length} rows is too long") });
    }
    let cancel = Cancel(Arc::default());
    let (worker, flag) = (Arc::clone(runner), Arc::clone(&cancel.0));
    let encoded = cpu::run(move || -> Result<_> {
        let column = text_column(&request, &binding)?;
        worker.tokenizer.encode_all(&column, &flag)
    })
    .await??;
    let mut errors = Vec::new();
    let mut rows = Vec::with_capacity(length);
    let mut tokens = vec![Tokens::default(); length];
    for ((row, encoded), slot) in encoded.into_iter().enumerate().zip(&mut tokens) {
        match encoded {
            None => {}
            Some(Ok(encoded)) => {
                *slot = encoded;
                rows.push(row as u32);
            }
            Some(Err(message)) if options.fail_on_error => {
                return Err(Error::RowFailed { row, error: RowError::invalid(message) });
            }
            Some(Err(message)) => errors.push((row, RowError::invalid(message))),
        }
    }
    let task = Arc::new(TextTask { runner: Arc::clone(runner), tokens });
    let mut batches = runner.batches(&task.tokens, rows).into_iter();
    let call = scheduler.call(options.query_id);
    let driven = drive::drive(&task, &call, || batches.next(), options).await?;
    cpu::run(move || task.assemble(driven, errors)).await?
}

fn text_column(request: &ArrayRef, binding: &Binding) -> Result<ArrayRef> {
    let unreadable = |error: arrow::error::ArrowError| Error::RunFailed { message: error.to_string() };
    let column = match (binding.sources.first(), request.as_struct_opt()) {
        (Some(Source::Field(index)), Some(fields)) => {
            let column = fields.columns().get(*index).cloned();
            let column = column.ok_or_else(|| Error::RunFailed { message: "the request has no such field".into() })?;
            // A NULL request is NULL whatever its field holds.
            match fields.nulls().filter(|nulls| nulls.null_count() > 0) {
                Some(nulls) => {
                    let absent = arrow::array::BooleanArray::new(!nulls.inner(), None);
                    arrow::compute::nullif(&column, &absent).map_err(unreadable)?
                }
                None => column,
            }
        }
        _ => request.clone(),
    };
    match column.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(column),
        _ => cast(&column, &DataType::Utf8).map_err(unreadable),
    }
}

impl TextTask {
    fn of(&self, row: usize) -> &[u32] {
        self.tokens.get(row).map_or(&[], |tokens| tokens.ids.as_ref())
    }

    fn output(&self) -> Result<&Port> {
        self.runner.spec.outputs.first().ok_or_else(|| Error::RunFailed { message: "the model has no output".into() })
    }

    /// One graph input of a micro-batch, `[rows, slots]` row by row.
    fn input(&self, port: &Port, rows: &Rows, slots: usize) -> Result<DynValue> {
        let pad = i64::from(self.runner.spec.text.pad_id);
        let mut data: Vec<i64> = Vec::with_capacity(rows.len() * slots);
        for row in rows.iter() {
            let end = data.len() + slots;
            let ids = self.of(row);
            match port.name.as_str() {
                "input_ids" => {
                    data.extend(ids.iter().map(|&id| i64::from(id)));
                    data.resize(end, pad);
                }
                "attention_mask" => {
                    data.resize(data.len() + ids.len(), 1);
                    data.resize(end, 0);
                }
                "position_ids" => data.extend(0..slots as i64),
                _ => {
                    let segments = self.tokens.get(row).map_or(&[][..], |tokens| tokens.type_ids.as_ref());
                    data.extend(segments.iter().map(|&segment| i64::from(segment)));
                    data.resize(end, 0);
                }
            }
        }
        let shape = [rows.len(), slots];
        let tensor = match port.element {
            Element::Int32 => {
                let narrow: Vec<i32> = data.into_iter().map(|value| i32::try_from(value).unwrap_or(i32::MAX)).collect();
                Tensor::from_array((shape, narrow)).map(|tensor| tensor.into_dyn())
            }
            _ => Tensor::from_array((shape, data)).map(|tensor| tensor.into_dyn()),
        };
        tensor.map_err(|error| Error::RunFailed { message: message_of(&error) })
    }

    /// Vectors of the rows of one micro-batch, one after the other.
    fn embeddings(&self, rows: &Rows, outputs: &Tensors) -> Result<Vec<f32>> {
        let spec = &self.runner.spec;
        let port = self.output()?;
        let dimension = spec.dimension.unwrap_or(0);
        let (shape, data) = outputs::floats(outputs, port)?;
        let mut vectors = match (shape.as_slice(), spec.pooling) {
            (&[run_rows, slots, width], Some(pooling)) if run_rows == rows.len() && width == dimension => {
                let mut vectors = vec![0.0; run_rows * width];
                let texts = data.chunks_exact((slots * width).max(1));
                for ((row, tokens), out) in rows.iter().zip(texts).zip(vectors.chunks_exact_mut(width.max(1))) {
                    pooling::pool(pooling, tokens, self.of(row).len(), out);
                }
                vectors
            }
            (&[run_rows, width], None) if run_rows == rows.len() && width == dimension => data,
            _ => {
                let message = format!("output \"{}\" has shape {shape:?} for {} rows", port.name, rows.len());
                return Err(Error::RunFailed { message });
            }
        };
        if spec.normalize {
            vectors.chunks_exact_mut(dimension.max(1)).for_each(pooling::normalize);
        }
        Ok(vectors)
    }

    fn scores(&self, rows: &Rows, outputs: &Tensors) -> Result<Vec<Option<(usize, f32)>>> {
        let spec = &self.runner.spec;
        let port = self.output()?;
        let (shape, data) = outputs::floats(outputs, port)?;
        match shape.as_slice() {
            &[run_rows, classes] if run_rows == rows.len() && classes > 0 => {
                let logits = data.chunks_exact(classes);
                Ok(logits.map(|logits| pooling::best(spec.text.activation, logits)).collect())
            }
            _ => {
                let message = format!("output \"{}\" has shape {shape:?} for {} rows", port.name, rows.len());
                Err(Error::RunFailed { message })
            }
        }
    }

    fn assemble(&self, driven: Driven<Piece>, mut errors: Vec<(usize, RowError)>) -> Result<Inferred> {
        let spec = &self.runner.spec;
        let length = self.tokens.len();
        let values = match spec.kind {
            Kind::Encoder => vectors(driven.pieces, length, spec.dimension.unwrap_or(0))?,
            _ => labels(driven.pieces, length, &spec.labels)?,
        };
        errors.extend(driven.errors);
        errors.sort_by_key(|(row, _)| *row);
        let input_tokens: Vec<u32> = self.tokens.iter().map(|tokens| tokens.ids.len() as u32).collect();
        let truncated: Vec<bool> = self.tokens.iter().map(|tokens| tokens.truncated).collect();
        let mut stats = driven.stats;
        stats.errors = errors.len() as u64;
        stats.input_tokens = input_tokens.iter().map(|&count| u64::from(count)).sum();
        stats.truncated_rows = truncated.iter().filter(|cut| **cut).count() as u64;
        Ok(Inferred { values, errors, input_tokens: Some(input_tokens), truncated: Some(truncated), stats })
    }
}

enum Piece {
    Vectors(Vec<f32>),
    Scores(Vec<Option<(usize, f32)>>),
}

impl Task for TextTask {
    type Piece = Piece;

    fn prepare(&self, rows: &Rows) -> std::result::Result<Prepared, Refused> {
        let slots = rows.iter().map(|row| self.of(row).len()).max().unwrap_or(0).max(1);
        let mut inputs = Vec::with_capacity(self.runner.inputs.len());
        for port in &self.runner.inputs {
            inputs.push((port.name.clone(), self.input(port, rows, slots).map_err(Refused::Batch)?));
        }
        Ok(Prepared { inputs, padded_tokens: (rows.len() * slots) as u64 })
    }

    fn finish(&self, rows: &Rows, outputs: Tensors) -> Result<Piece> {
        match self.runner.spec.kind {
            Kind::Encoder => self.embeddings(rows, &outputs).map(Piece::Vectors),
            _ => self.scores(rows, &outputs).map(Piece::Scores),
        }
    }
}

/// Vectors in the request's order; rows without one are NULL and take no space.
fn vectors(pieces: Vec<(Rows, Piece)>, length: usize, dimension: usize) -> Result<ArrayRef> {
    let mut present = vec![false; length];
    for row in pieces.iter().flat_map(|(rows, _)| rows.iter()) {
        if let Some(flag) = present.get_mut(row) {
            *flag = true;
        }
    }
    let mut starts = Vec::with_capacity(length);
    let mut total = 0usize;
    for &flag in &present {
        starts.push(total);
        total += if flag { dimension } else { 0 };
    }
    if i32::try_from(total).is_err() {
        return Err(Error::RunFailed { message: format!("{length} vectors are too many for one request") });
    }
    let mut values = vec![0f32; total];
    for (rows, piece) in &pieces {
        if let Piece::Vectors(vectors) = piece {
            for (row, vector) in rows.iter().zip(vectors.chunks_exact(dimension.max(1))) {
                let start = starts.get(row).copied().unwrap_or(0);
                if let Some(slot) = values.get_mut(start..start + dimension) {
                    slot.copy_from_slice(vector);
                }
            }
        }
    }
    let lengths = present.iter().map(|&flag| if flag { dimension } else { 0 });
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let field = Arc::new(Field::new_list_field(DataType::Float32, true));
    let list =
        ListArray::try_new(field, offsets, Arc::new(Float32Array::from(values)), Some(NullBuffer::from(present)));
    list.map(|list| Arc::new(list) as ArrayRef).map_err(|error| Error::RunFailed { message: error.to_string() })
}

fn labels(pieces: Vec<(Rows, Piece)>, length: usize, labels: &[String]) -> Result<ArrayRef> {
    let mut best: Vec<Option<(usize, f32)>> = vec![None; length];
    let mut present = vec![false; length];
    for (rows, piece) in &pieces {
        if let Piece::Scores(scores) = piece {
            for (row, score) in rows.iter().zip(scores) {
                if let (Some(slot), Some(flag)) = (best.get_mut(row), present.get_mut(row)) {
                    (*slot, *flag) = (*score, true);
                }
            }
        }
    }
    let names: StringArray =
        best.iter().map(|best| best.and_then(|(index, _)| labels.get(index)).map(String::as_str)).collect();
    let scores: Float32Array = best.iter().map(|best| best.map(|(_, score)| score)).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(names), Arc::new(scores)];
    let array = StructArray::try_new(classifier_fields(), columns, Some(NullBuffer::from(present)));
    array.map(|array| Arc::new(array) as ArrayRef).map_err(|error| Error::RunFailed { message: error.to_string() })
}
