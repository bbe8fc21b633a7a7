//! `+`, `-`, `*` of integers, and `/` of floating-point numbers: what doesn't fit is an error, as is division by zero.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::Operator;

use super::Operation;
use crate::error::{Error, Kind};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Checked {
    Add,
    Subtract,
    Multiply,
    /// Of floating-point numbers; that of integers is checked as it is.
    Divide,
}

impl Checked {
    /// The checked form of an operator on two values of one type, where the planner's own is unchecked.
    pub fn of(operator: Operator, data_type: &DataType) -> Option<Checked> {
        match operator {
            Operator::Plus if data_type.is_integer() => Some(Checked::Add),
            Operator::Minus if data_type.is_integer() => Some(Checked::Subtract),
            Operator::Multiply if data_type.is_integer() => Some(Checked::Multiply),
            Operator::Divide if matches!(data_type, DataType::Float32 | DataType::Float64) => Some(Checked::Divide),
            _ => None,
        }
    }
}

impl Operation for Checked {
    fn name(&self) -> &'static str {
        match self {
            Checked::Add => "checked_add",
            Checked::Subtract => "checked_subtract",
            Checked::Multiply => "checked_multiply",
            Checked::Divide => "checked_divide",
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn apply(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        let [left, right] = arguments else { return Err(Error::internal("arithmetic takes two values").into()) };
        let result = match self {
            Checked::Add => numeric::add(left, right),
            Checked::Subtract => numeric::sub(left, right),
            Checked::Multiply => numeric::mul(left, right),
            Checked::Divide => {
                check_divisors(left, right)?;
                numeric::div(left, right)
            }
        };
        match result {
            Err(ArrowError::ArithmeticOverflow(_)) => Err(out_of_range(left.data_type()).into()),
            other => Ok(other?),
        }
    }
}

pub(super) fn out_of_range(data_type: &DataType) -> Error {
    let name = type_name(data_type);
    let error = Error::new(Kind::NumericValueOutOfRange, format!("{name} out of range"));
    match data_type {
        DataType::Int64 => error.with_hint("Cast an operand to numeric or double precision."),
        _ => error.with_hint("Cast an operand to bigint or numeric."),
    }
}

fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => "smallint",
        DataType::UInt16 | DataType::Int32 => "integer",
        _ => "bigint",
    }
}

fn check_divisors(left: &ArrayRef, right: &ArrayRef) -> Result<()> {
    let zero: Box<dyn Fn(usize) -> bool> = match right.data_type() {
        DataType::Float32 => {
            let values = right.as_primitive::<Float32Type>();
            Box::new(|row| values.value(row) == 0.0)
        }
        _ => {
            let values = right.as_primitive::<Float64Type>();
            Box::new(|row| values.value(row) == 0.0)
        }
    };
    if (0..right.len()).any(|row| zero(row) && right.is_valid(row) && left.is_valid(row)) {
        return Err(ArrowError::DivideByZero.into());
    }
    Ok(())
}
