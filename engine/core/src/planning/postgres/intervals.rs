//! `interval * number`: fractions of a month become days of 30 to the month, fractions of a day become time, as
//! PostgreSQL's `interval_mul` has it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::error::Result;

use super::Operation;
use crate::error::{Error, Kind};

const DAYS_PER_MONTH: f64 = 30.0;
const NANOSECONDS_PER_DAY: f64 = 86_400e9;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scale {
    Multiply,
    Divide,
}

impl Operation for Scale {
    fn name(&self) -> &'static str {
        match self {
            Scale::Multiply => "interval_multiply",
            Scale::Divide => "interval_divide",
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn coerce(&self, _arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![DataType::Interval(IntervalUnit::MonthDayNano), DataType::Float64])
    }

    fn apply(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        let [spans, factors] = arguments else { return Err(Error::internal("scaling takes two values").into()) };
        let (spans, factors) =
            (spans.as_primitive::<IntervalMonthDayNanoType>(), factors.as_primitive::<Float64Type>());
        let scale = |row: usize| -> Result<Option<IntervalMonthDayNano>> {
            if spans.is_null(row) || factors.is_null(row) {
                return Ok(None);
            }
            let factor = match self {
                Scale::Multiply => factors.value(row),
                Scale::Divide if factors.value(row) == 0.0 => {
                    return Err(Error::new(Kind::DivisionByZero, "division by zero").into());
                }
                Scale::Divide => 1.0 / factors.value(row),
            };
            Ok(Some(scaled(spans.value(row), factor)?))
        };
        let scaled = (0..spans.len()).map(scale).collect::<Result<PrimitiveArray<IntervalMonthDayNanoType>>>()?;
        Ok(Arc::new(scaled))
    }
}

fn scaled(span: IntervalMonthDayNano, factor: f64) -> Result<IntervalMonthDayNano> {
    let months = f64::from(span.months) * factor;
    let days = f64::from(span.days) * factor + rounded(months.fract() * DAYS_PER_MONTH);
    let days = rounded(days);
    let nanoseconds = (span.nanoseconds as f64 * factor + days.fract() * NANOSECONDS_PER_DAY).round();
    let fits = |value: f64, most: f64| value.is_finite() && value.abs() < most;
    if !fits(months, f64::from(i32::MAX)) || !fits(days, f64::from(i32::MAX)) || !fits(nanoseconds, i64::MAX as f64) {
        return Err(Error::new(Kind::InvalidDatetime, "interval out of range").into());
    }
    // Whole microseconds, which is as fine as PostgreSQL's intervals are.
    let nanoseconds = (nanoseconds / 1_000.0).round() as i64 * 1_000;
    Ok(IntervalMonthDayNano::new(months.trunc() as i32, days.trunc() as i32, nanoseconds))
}

/// Without the last digits, in which a product of fractions errs.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}
