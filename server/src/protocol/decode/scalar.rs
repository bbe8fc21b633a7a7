//! Values already taken apart, into the engine's.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion_common::ScalarValue;

use crate::protocol::calendar::{DATE_DAYS, DAY_MICROS, EPOCH_SHIFT_SECONDS, TIMESTAMP_MICROS};
use crate::protocol::error::{Kind, Result, ValueError};

/// A date in days since 1970.
pub(super) fn date(days: i64) -> Result<ScalarValue> {
    let days = Some(days).filter(|days| DATE_DAYS.contains(days)).and_then(|days| i32::try_from(days).ok());
    Ok(ScalarValue::Date32(Some(days.ok_or_else(|| ValueError::out_of_range("date"))?)))
}

/// A time of day in microseconds. PostgreSQL's 24:00:00 has no counterpart.
pub(super) fn time(micros: i64) -> Result<ScalarValue> {
    if !(0..DAY_MICROS).contains(&micros) {
        return Err(ValueError::out_of_range("time"));
    }
    Ok(ScalarValue::Time64Microsecond(Some(micros)))
}

/// A timestamp in microseconds since 2000-01-01.
pub(super) fn timestamp(micros: i64, with_zone: bool) -> Result<ScalarValue> {
    if matches!(micros, i64::MIN | i64::MAX) {
        return Err(infinite("timestamp"));
    }
    let unix = Some(micros)
        .filter(|micros| TIMESTAMP_MICROS.contains(micros))
        .and_then(|micros| micros.checked_add(EPOCH_SHIFT_SECONDS * 1_000_000))
        .ok_or_else(|| ValueError::out_of_range("timestamp"))?;
    Ok(ScalarValue::TimestampMicrosecond(Some(unix), with_zone.then(|| Arc::from("UTC"))))
}

/// An interval of months, days and microseconds. The engine counts nanoseconds: 292 years of them fit.
pub(super) fn interval(months: i32, days: i32, micros: i64) -> Result<ScalarValue> {
    let nanoseconds = micros.checked_mul(1_000).ok_or_else(|| ValueError::out_of_range("interval"))?;
    Ok(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months, days, nanoseconds })))
}

/// A `numeric` that is NaN or infinite: a float where one is wanted, an error otherwise.
pub(super) fn not_finite(value: f64, wanted: &DataType) -> Result<ScalarValue> {
    if wanted.is_floating() {
        return Ok(ScalarValue::Float64(Some(value)));
    }
    Err(ValueError::new(Kind::NumberOutOfRange, "a numeric parameter must be a finite number")
        .with_hint("Send NaN and infinity as double precision."))
}

/// `infinity` as a date or timestamp.
pub(super) fn infinite(type_name: &str) -> ValueError {
    ValueError::new(Kind::DateTimeOutOfRange, format!("an infinite {type_name} is not supported"))
}

/// The canonical text of a UUID.
pub(super) fn uuid_text(value: u128) -> String {
    let digits = format!("{value:032x}");
    let part = |range| digits.get::<std::ops::Range<usize>>(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}
