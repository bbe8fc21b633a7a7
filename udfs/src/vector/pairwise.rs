//! A measure applied to two arguments, each a column or a constant: one pass over the values, a constant's norm
//! computed once.

use std::sync::Arc;

use arrow::array::Float64Array;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion_common::utils::take_function_args;
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs};

use super::measure::Measure;
use super::rows::{Element, Precision, Rows};
use crate::error::FunctionError;

/// The type of every measure: double precision, whatever the elements. Errors where an argument is not a vector.
pub(crate) fn return_type(function: &'static str, arguments: &[DataType]) -> Result<DataType> {
    let arguments: [DataType; 2] = take_function_args(function, arguments.iter().cloned())?;
    Precision::of(function, &arguments)?;
    Ok(DataType::Float64)
}

/// `M` between the two arguments, row by row. Two constants give a constant.
pub(crate) fn measured<M: Measure>(function: &'static str, arguments: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let [left, right] = take_function_args(function, &arguments.args)?;
    match Precision::of(function, &[left.data_type(), right.data_type()])? {
        None => Ok(ColumnarValue::Scalar(ScalarValue::Float64(None))),
        Some(Precision::Single) => between::<M, f32>(function, left, right),
        Some(Precision::Double) => between::<M, f64>(function, left, right),
    }
}

fn between<M: Measure, T: Element>(
    function: &'static str,
    left: &ColumnarValue,
    right: &ColumnarValue,
) -> Result<ColumnarValue> {
    let (left, left_constant) = rows::<T>(function, left)?;
    let (right, right_constant) = rows::<T>(function, right)?;
    let measured = match (left_constant, right_constant) {
        (true, _) => against::<M, T>(&left, &right, mismatch)?,
        (false, true) => against::<M, T>(&right, &left, |query, row| mismatch(row, query))?,
        (false, false) => row_by_row::<M, T>(function, &left, &right)?,
    };
    if left_constant && right_constant {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&measured, 0)?));
    }
    Ok(ColumnarValue::Array(Arc::new(measured)))
}

/// The argument's rows, and whether it is one constant for all.
fn rows<T: Element>(function: &'static str, argument: &ColumnarValue) -> Result<(Rows<T>, bool)> {
    match argument {
        ColumnarValue::Array(array) => Ok((Rows::new(function, array)?, false)),
        ColumnarValue::Scalar(value) => Ok((Rows::new(function, &value.to_array()?)?, true)),
    }
}

/// The single row of `query` against every row of `rows`.
fn against<M: Measure, T: Element>(
    query: &Rows<T>,
    rows: &Rows<T>,
    mismatch: impl Fn(usize, usize) -> FunctionError,
) -> Result<Float64Array> {
    let Some(query) = query.row(0) else {
        return Ok(Float64Array::new_null(rows.len()));
    };
    let prepared = M::prepare(query);
    let mut values = Vec::with_capacity(rows.len());
    for index in 0..rows.len() {
        let value = match rows.row(index) {
            None => 0.0,
            Some(row) if row.len() == query.len() => M::between(query, prepared, row),
            Some(row) => return Err(mismatch(query.len(), row.len()).into()),
        };
        values.push(value);
    }
    Ok(Float64Array::new(values.into(), rows.nulls().cloned()))
}

fn row_by_row<M: Measure, T: Element>(function: &str, left: &Rows<T>, right: &Rows<T>) -> Result<Float64Array> {
    if left.len() != right.len() {
        return internal_err!("{function} was given columns of {} and {} rows", left.len(), right.len());
    }
    let mut values = Vec::with_capacity(left.len());
    for index in 0..left.len() {
        let value = match (left.row(index), right.row(index)) {
            (Some(left), Some(right)) if left.len() == right.len() => M::between(left, M::prepare(left), right),
            (Some(left), Some(right)) => return Err(mismatch(left.len(), right.len()).into()),
            _ => 0.0,
        };
        values.push(value);
    }
    Ok(Float64Array::new(values.into(), NullBuffer::union(left.nulls(), right.nulls())))
}

fn mismatch(left: usize, right: usize) -> FunctionError {
    FunctionError::DimensionMismatch { left, right }
}
