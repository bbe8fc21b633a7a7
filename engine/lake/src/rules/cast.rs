//! From the types of a statement to the types of a table. A value that doesn't fit is an error, never a NULL.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::aggregate::{max, min};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Field, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;

use crate::error::{Error, Result};

const CHECKED: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// The years that the format's statistics can express, about 262,000 either way, as days and microseconds.
const DAYS_MAX: i32 = 95_000_000;
const MICROSECONDS_MAX: i64 = DAYS_MAX as i64 * 86_400_000_000;

/// Whether values of one type can be stored as another at all.
pub(super) fn check(column: &str, from: &DataType, to: &DataType) -> Result<()> {
    if from == to || can_cast_types(from, to) {
        return Ok(());
    }
    Err(failed(column, format!("there is no conversion from {from} to {to}")))
}

/// `values` in the type of `field`. Fractions are rounded, not cut, on their way to whole numbers: floats to even,
/// decimals away from zero, as PostgreSQL does in an assignment.
pub(super) fn store(values: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    let to = field.data_type();
    let stored = if values.data_type() == to { Ok(values.clone()) } else { convert(values, to) };
    let stored = stored.map_err(|error| failed(field.name(), describe(&error)))?;
    if stored.data_type().is_nested() || stored.data_type().is_temporal() {
        within_calendar(&stored, field.name())?;
    }
    Ok(stored)
}

fn convert(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if !to.is_integer() {
        return cast_with_options(values, to, &CHECKED);
    }
    match values.data_type() {
        DataType::Float16 => {
            let wide = cast_with_options(values, &DataType::Float64, &CHECKED)?;
            convert(&wide, to)
        }
        DataType::Float32 => {
            let whole = values.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round_ties_even);
            cast_with_options(&whole, to, &CHECKED)
        }
        DataType::Float64 => {
            let whole = values.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even);
            cast_with_options(&whole, to, &CHECKED)
        }
        DataType::Decimal128(_, scale) if *scale > 0 => {
            let whole = cast_with_options(values, &DataType::Decimal128(38, 0), &CHECKED)?;
            cast_with_options(&whole, to, &CHECKED)
        }
        _ => cast_with_options(values, to, &CHECKED),
    }
}

fn failed(column: &str, message: String) -> Error {
    Error::CastFailed { column: column.to_owned(), message }
}

fn describe(error: &ArrowError) -> String {
    match error {
        ArrowError::CastError(message) | ArrowError::ParseError(message) => message.clone(),
        error => error.to_string(),
    }
}

/// Refuses dates and timestamps whose years the file statistics can't hold, wherever they are nested.
fn within_calendar(values: &ArrayRef, column: &str) -> Result<()> {
    let outside = match values.data_type() {
        DataType::Date32 => {
            let days = values.as_primitive::<Date32Type>();
            min(days).is_some_and(|day| day < -DAYS_MAX) || max(days).is_some_and(|day| day > DAYS_MAX)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = values.as_primitive::<TimestampMicrosecondType>();
            min(times).is_some_and(|time| time < -MICROSECONDS_MAX)
                || max(times).is_some_and(|time| time > MICROSECONDS_MAX)
        }
        DataType::Struct(_) => {
            let children = values.as_struct().columns();
            return children.iter().try_for_each(|child| within_calendar(child, column));
        }
        DataType::List(_) => return within_calendar(values.as_list::<i32>().values(), column),
        DataType::Map(_, _) => {
            let map = values.as_map();
            within_calendar(map.keys(), column)?;
            return within_calendar(map.values(), column);
        }
        _ => false,
    };
    match outside {
        true => Err(failed(column, "the date is out of range".to_owned())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray, UInt64Array};

    use super::*;

    fn stored(values: ArrayRef, to: DataType) -> Result<ArrayRef> {
        store(&values, &Field::new("x", to, true))
    }

    #[test]
    fn fractions_round_as_postgresql_does() {
        let floats = Arc::new(Float64Array::from(vec![1.5, 2.5, -0.5, 1.9]));
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![2, 2, 0, 2]));
        assert_eq!(&stored(floats, DataType::Int64).unwrap(), &whole);
        let decimals = Decimal128Array::from(vec![150, 250, -50, 149]).with_precision_and_scale(10, 2).unwrap();
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![2, 3, -1, 1]));
        assert_eq!(&stored(Arc::new(decimals), DataType::Int64).unwrap(), &whole);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let failing: [(ArrayRef, DataType); 5] = [
            (Arc::new(StringArray::from(vec!["12a"])), DataType::Int32),
            (Arc::new(Int64Array::from(vec![1 << 40])), DataType::Int32),
            (Arc::new(UInt64Array::from(vec![u64::MAX])), DataType::Int64),
            (Arc::new(Float64Array::from(vec![f64::NAN])), DataType::Int64),
            (Arc::new(Date32Array::from(vec![i32::MAX])), DataType::Date32),
        ];
        for (values, to) in failing {
            let error = stored(values, to.clone());
            assert!(matches!(error, Err(Error::CastFailed { .. })), "{to} {error:?}");
        }
    }

    #[test]
    fn half_floats_round_too() {
        let halves = Float64Array::from(vec![0.5, 3.5]);
        let halves = cast_with_options(&halves, &DataType::Float16, &CHECKED).unwrap();
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![0, 4]));
        assert_eq!(&stored(halves, DataType::Int64).unwrap(), &whole);
    }
}
