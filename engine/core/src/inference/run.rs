//! One call over one window of rows: guards, duplicates, the model, the type that was asked for, and back to the
//! window's rows.

use std::sync::Arc;
use std::time::Instant;

use alluvia_inference::{InferOptions, Inferred, Model};
use alluvia_udfs::error_struct;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray, StructArray, new_empty_array,
};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;

use super::distinct::Deduplication;
use super::exec::Asked;
use super::memo::Memo;
use super::usage::Meter;
use crate::error::{Error, Kind};

/// A call whose model is loaded, in one partition.
pub(super) struct Caller {
    pub asked: Asked,
    pub model: Arc<Model>,
    pub deduplication: Deduplication,
    /// For models that are slow enough for it to pay.
    pub memo: Option<Memo>,
    pub meter: Meter,
}

impl Caller {
    /// The call's value for each row of `request`, in the same order. NULL where `guard` is false or the request is
    /// NULL. `reservation` grows by what the model needs meanwhile.
    pub async fn answer(
        &self,
        request: ArrayRef,
        guard: Option<BooleanArray>,
        reservation: &MemoryReservation,
    ) -> Result<ArrayRef> {
        let reduced = self.deduplication.reduce(&request, guard.as_ref())?;
        let values = match &self.memo {
            None => self.send(reduced.input, reduced.reached, reservation).await?,
            Some(memo) => {
                let recalled = memo.recall(&reduced.input)?;
                let fresh = self.send(ArrayRef::clone(&recalled.unknown), reduced.reached, reservation).await?;
                memo.complete(recalled, fresh)?
            }
        };
        let values = match &reduced.answers {
            Some(answers) => take(&values, answers, None)?,
            None => values,
        };
        // It waits in the window until it is read.
        reservation.try_grow(values.to_data().get_slice_memory_size().unwrap_or(0))?;
        Ok(values)
    }

    /// Answers for `input`, which stands for `reached` rows of the window.
    async fn send(&self, input: ArrayRef, reached: usize, reservation: &MemoryReservation) -> Result<ArrayRef> {
        self.meter.asked(reached, input.len());
        if input.is_empty() {
            return Ok(new_empty_array(self.asked.call.output.data_type()));
        }
        let needed_bytes = self.model.estimate_bytes(&input);
        reservation.try_grow(needed_bytes)?;
        let values = self.infer(input).await;
        reservation.shrink(needed_bytes);
        values.inspect_err(|_| self.meter.failed())
    }

    /// `input`: distinct rows without NULL.
    async fn infer(&self, input: ArrayRef) -> Result<ArrayRef> {
        let options = InferOptions { fail_on_error: self.asked.call.fail_on_error, query_id: self.meter.query_id() };
        let started = Instant::now();
        let inferred = self.model.infer(input, &options).await.map_err(|error| self.failure(error))?;
        let latency_ms = started.elapsed().as_secs_f64() * 1_000.0;
        let result_type = match (&self.asked.call.return_type, self.asked.call.fail_on_error) {
            (Some(asked), _) => asked.clone(),
            (None, true) => self.asked.call.output.data_type().clone(),
            (None, false) => inferred.values.data_type().clone(),
        };
        if self.asked.call.fail_on_error {
            self.meter.answered(&inferred.stats, 0);
            return self.cast(&inferred.values, &result_type);
        }
        let (values, cast_errors) = cast_or_null(&inferred.values, &result_type)?;
        self.meter.answered(&inferred.stats, cast_errors.iter().filter(|failed| **failed).count());
        with_errors(values, &cast_errors, &inferred, latency_ms)
    }

    /// Rows are counted within what was sent, which means nothing to whoever reads the error.
    fn failure(&self, error: alluvia_inference::Error) -> Error {
        let model = &self.asked.call.model;
        let hint = error.hint();
        let failure = match &error {
            alluvia_inference::Error::RowFailed { error, .. } => {
                Error::new(Kind::InferenceFailed, format!("model \"{model}\" failed on a row: {}", error.message))
            }
            alluvia_inference::Error::RunFailed { message } => {
                Error::new(Kind::InferenceFailed, format!("model \"{model}\" failed: {message}"))
            }
            _ => return error.into(),
        };
        match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }

    fn cast(&self, values: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
        if values.data_type() == data_type {
            return Ok(ArrayRef::clone(values));
        }
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(values, data_type, &strict).map_err(|error| {
            let message = format!("an answer of model \"{}\" cannot be cast to {data_type}", self.asked.call.model);
            Error::new(Kind::InferenceFailed, message)
                .with_detail(format!("{error}."))
                .with_hint("With failOnError => false a failing row yields an error value instead.")
                .into()
        })
    }
}

/// The values cast, and for each row whether that failed.
fn cast_or_null(values: &ArrayRef, data_type: &DataType) -> Result<(ArrayRef, Vec<bool>)> {
    if values.data_type() == data_type {
        return Ok((ArrayRef::clone(values), vec![false; values.len()]));
    }
    let cast = cast_with_options(values, data_type, &CastOptions { safe: true, ..CastOptions::default() })?;
    let lost = (0..values.len()).map(|row| values.is_valid(row) && cast.is_null(row)).collect();
    Ok((cast, lost))
}

/// The struct of `failOnError => false`, one per row.
fn with_errors(values: ArrayRef, cast_errors: &[bool], inferred: &Inferred, latency_ms: f64) -> Result<ArrayRef> {
    let rows = values.len();
    let mut messages: Vec<Option<&str>> = vec![None; rows];
    let mut classes: Vec<Option<&str>> = vec![None; rows];
    for ((message, class), _) in messages.iter_mut().zip(&mut classes).zip(cast_errors).filter(|(_, failed)| **failed) {
        *message = Some("the model's answer cannot be cast to returnType");
        *class = Some("invalid_result");
    }
    for (row, error) in &inferred.errors {
        if let (Some(message), Some(class)) = (messages.get_mut(*row), classes.get_mut(*row)) {
            (*message, *class) = (Some(error.message.as_str()), Some(error.class.as_str()));
        }
    }
    let tokens = match &inferred.input_tokens {
        Some(tokens) => Int64Array::from_iter_values(tokens.iter().map(|count| i64::from(*count))),
        None => Int64Array::new_null(rows),
    };
    let truncated = match &inferred.truncated {
        Some(truncated) => BooleanArray::from(truncated.clone()),
        None => BooleanArray::from(vec![false; rows]),
    };
    let DataType::Struct(fields) = error_struct(values.data_type().clone()) else {
        return Err(Error::internal("the error struct is no struct").into());
    };
    let columns: Vec<ArrayRef> = vec![
        values,
        Arc::new(StringArray::from(messages)),
        Arc::new(StringArray::from(classes)),
        Arc::new(Int32Array::from(vec![1; rows])),
        Arc::new(Float64Array::from(vec![latency_ms; rows])),
        Arc::new(tokens),
        Arc::new(Int64Array::new_null(rows)),
        Arc::new(truncated),
        Arc::new(BooleanArray::from(vec![false; rows])),
    ];
    Ok(Arc::new(StructArray::try_new(fields, columns, None)?))
}
