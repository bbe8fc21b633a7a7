//! A floating-point number on its way to an integer: rounded half to even, as PostgreSQL's casts do.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::compute::unary;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::error::Result;

use super::Operation;
use crate::error::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RoundHalfEven;

impl Operation for RoundHalfEven {
    fn name(&self) -> &'static str {
        "round_half_even"
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Float64))
    }

    fn apply(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        let [values] = arguments else { return Err(Error::internal("rounding takes one value").into()) };
        match values.data_type() {
            DataType::Float32 => {
                let rounded: Float32Array = unary(values.as_primitive::<Float32Type>(), f32::round_ties_even);
                Ok(Arc::new(rounded))
            }
            DataType::Float64 => {
                let rounded: Float64Array = unary(values.as_primitive::<Float64Type>(), f64::round_ties_even);
                Ok(Arc::new(rounded))
            }
            _ => Ok(Arc::clone(values)),
        }
    }
}
