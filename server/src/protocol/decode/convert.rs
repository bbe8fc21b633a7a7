//! A parameter's value brought to the type that the engine wants, where that loses nothing.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, IntervalDayTime, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion_common::ScalarValue;

use super::array;
use crate::protocol::time_zone::TimeZone;
use crate::protocol::types::list_element;

/// The value as `wanted`, or as it is when the types have nothing in common or the value would change.
pub(super) fn fit(value: ScalarValue, wanted: &DataType, time_zone: &TimeZone) -> ScalarValue {
    let own = value.data_type();
    if *wanted == DataType::Null || own == *wanted || family(&own) != family(wanted) {
        return empty_list(value, wanted);
    }
    if let ScalarValue::IntervalMonthDayNano(Some(interval)) = value {
        return span(interval, wanted).unwrap_or(value);
    }
    let value = in_zone(&value, wanted, time_zone).unwrap_or(value);
    let own = value.data_type();
    let Ok(fitted) = value.cast_to(wanted) else { return value };
    // PostgreSQL too compares a numeric with a float as floats; everything else must read back the same.
    let rounding = leaf(&own).is_decimal() && leaf(wanted).is_floating();
    if rounding || fitted.cast_to(&own).is_ok_and(|back| back == value) { fitted } else { value }
}

/// Types between which values may move.
#[derive(PartialEq, Eq)]
enum Family {
    Boolean,
    Number,
    Text,
    Bytes,
    Moment,
    Time,
    Span,
    List(Box<Family>),
    Other,
}

fn family(data_type: &DataType) -> Family {
    match data_type {
        DataType::Boolean => Family::Boolean,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Family::Text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Family::Bytes,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => Family::Moment,
        DataType::Time32(_) | DataType::Time64(_) => Family::Time,
        DataType::Interval(_) | DataType::Duration(_) => Family::Span,
        DataType::Dictionary(_, value) => family(value),
        DataType::RunEndEncoded(_, value) => family(value.data_type()),
        numeric if numeric.is_numeric() => Family::Number,
        _ => match list_element(data_type) {
            Some(element) => Family::List(Box::new(family(element))),
            None => Family::Other,
        },
    }
}

fn leaf(data_type: &DataType) -> &DataType {
    list_element(data_type).map_or(data_type, leaf)
}

/// An empty array is empty in any number of dimensions, and of any element.
fn empty_list(value: ScalarValue, wanted: &DataType) -> ScalarValue {
    match (&value, list_element(wanted)) {
        (ScalarValue::List(list), Some(element)) if list.len() == 1 && list.value_length(0) == 0 => {
            let empty = array::empty(element).ok().and_then(|empty| empty.cast_to(wanted).ok());
            empty.unwrap_or(value)
        }
        _ => value,
    }
}

/// An interval as a narrower kind of interval or a duration, if it has nothing that this kind lacks.
fn span(interval: IntervalMonthDayNano, wanted: &DataType) -> Option<ScalarValue> {
    let IntervalMonthDayNano { months, days, nanoseconds } = interval;
    let whole = |unit: i64| (nanoseconds % unit == 0).then_some(nanoseconds / unit);
    let no_months = || (months == 0).then_some(());
    let only_time = || (months == 0 && days == 0).then_some(());
    Some(match wanted {
        DataType::Interval(IntervalUnit::YearMonth) if days == 0 && nanoseconds == 0 => {
            ScalarValue::IntervalYearMonth(Some(months))
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            no_months()?;
            let milliseconds = i32::try_from(whole(1_000_000)?).ok()?;
            ScalarValue::IntervalDayTime(Some(IntervalDayTime { days, milliseconds }))
        }
        DataType::Duration(unit) => {
            only_time()?;
            match unit {
                TimeUnit::Second => ScalarValue::DurationSecond(Some(whole(1_000_000_000)?)),
                TimeUnit::Millisecond => ScalarValue::DurationMillisecond(Some(whole(1_000_000)?)),
                TimeUnit::Microsecond => ScalarValue::DurationMicrosecond(Some(whole(1_000)?)),
                TimeUnit::Nanosecond => ScalarValue::DurationNanosecond(Some(nanoseconds)),
            }
        }
        _ => return None,
    })
}

/// A local time where an instant is wanted, and the other way round: through the session's zone.
fn in_zone(value: &ScalarValue, wanted: &DataType, time_zone: &TimeZone) -> Option<ScalarValue> {
    let shift = |micros: i64, seconds: i64| micros.checked_add(seconds.checked_mul(1_000_000)?);
    match (value, wanted) {
        (
            ScalarValue::TimestampMicrosecond(Some(_), None) | ScalarValue::Date32(Some(_)),
            DataType::Timestamp(_, Some(_)),
        ) => {
            let local = value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, None)).ok()?;
            let ScalarValue::TimestampMicrosecond(Some(local), None) = local else { return None };
            let seconds = local.div_euclid(1_000_000);
            let instant = shift(local, time_zone.utc_seconds_of(seconds) - seconds)?;
            Some(ScalarValue::TimestampMicrosecond(Some(instant), Some(Arc::from("UTC"))))
        }
        (
            ScalarValue::TimestampMicrosecond(Some(instant), Some(_)),
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64,
        ) => {
            let offset_seconds = time_zone.offset_seconds_at(instant.div_euclid(1_000_000));
            Some(ScalarValue::TimestampMicrosecond(Some(shift(*instant, i64::from(offset_seconds))?), None))
        }
        _ => None,
    }
}
