//! A value's text as PostgreSQL writes it: `x::text`, `x || y`, `concat(x)`. The server writes result columns in the
//! same forms; DataFusion's casts have forms of their own (`[1, 2]`, `2026-01-02T03:04:05`, `1.0`).

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, DurationNanosecondType, Float32Type, Float64Type, IntervalMonthDayNanoType,
    IntervalUnit, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
};
use chrono::{DateTime, Offset, TimeZone, Timelike};
use datafusion::error::Result;
use serde_json::Value;

use super::Operation;
use crate::error::{Error, Kind};

/// To text. `zone` is where moments are shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ToText {
    pub zone: Arc<str>,
}

/// Whether the planner's own cast to text writes something else.
pub(super) fn has_own_form(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Float16
            | DataType::Float32
            | DataType::Float64
            | DataType::Timestamp(..)
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Interval(_)
            | DataType::Duration(_)
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
            | DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::Struct(_)
            | DataType::Map(..)
    )
}

impl Operation for ToText {
    fn name(&self) -> &'static str {
        "to_text"
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn apply(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        let [values] = arguments else { return Err(Error::internal("to_text takes one value").into()) };
        let write = writer(values, &self.zone)?;
        let mut builder = StringBuilder::new();
        for row in 0..values.len() {
            if values.is_null(row) {
                builder.append_null();
            } else {
                write(row, &mut builder)?;
                builder.append_value("");
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}

type Write1 = Box<dyn Fn(usize, &mut dyn Write) -> std::fmt::Result>;

/// Writes one row that isn't NULL.
fn writer(array: &ArrayRef, zone: &Arc<str>) -> Result<Write1> {
    let to = |data_type: DataType| Ok::<_, datafusion::error::DataFusionError>(cast(array, &data_type)?);
    Ok(match array.data_type() {
        DataType::Float16 | DataType::Float32 => {
            let values = primitive::<Float32Type>(&to(DataType::Float32)?);
            Box::new(move |row, out| float(f64::from(values.value(row)), format!("{:e}", values.value(row)), 6, out))
        }
        DataType::Float64 => {
            let values = primitive::<Float64Type>(array);
            Box::new(move |row, out| float(values.value(row), format!("{:e}", values.value(row)), 15, out))
        }
        DataType::Timestamp(_, None) => {
            let values = primitive::<TimestampMicrosecondType>(&to(DataType::Timestamp(TimeUnit::Microsecond, None))?);
            Box::new(move |row, out| local(values.value(row), out))
        }
        DataType::Timestamp(_, Some(_)) => {
            let micros = to(DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))))?;
            let (values, zone) = (primitive::<TimestampMicrosecondType>(&micros), named(zone)?);
            Box::new(move |row, out| moment(values.value(row), zone, out))
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let values = primitive::<Time64NanosecondType>(&to(DataType::Time64(TimeUnit::Nanosecond))?);
            Box::new(move |row, out| clock(values.value(row) / 1_000, out))
        }
        DataType::Interval(_) => {
            let spans = to(DataType::Interval(IntervalUnit::MonthDayNano))?;
            let values = primitive::<IntervalMonthDayNanoType>(&spans);
            Box::new(move |row, out| {
                let span = values.value(row);
                interval(span.months, span.days, span.nanoseconds / 1_000, out)
            })
        }
        DataType::Duration(_) => {
            let values = primitive::<DurationNanosecondType>(&to(DataType::Duration(TimeUnit::Nanosecond))?);
            Box::new(move |row, out| interval(0, 0, values.value(row) / 1_000, out))
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = to(DataType::LargeBinary)?;
            Box::new(move |row, out| {
                out.write_str("\\x")?;
                bytes.as_binary::<i64>().value(row).iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            })
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => list_writer(array, zone)?,
        DataType::Struct(_) | DataType::Map(..) => {
            let (values, zone) = (Arc::clone(array), Arc::clone(zone));
            Box::new(move |row, out| match json(&values, row, &zone) {
                Ok(value) => write!(out, "{value}"),
                Err(_) => Err(std::fmt::Error),
            })
        }
        _ => {
            let text = to(DataType::LargeUtf8)?;
            Box::new(move |row, out| out.write_str(text.as_string::<i64>().value(row)))
        }
    })
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> PrimitiveArray<T> {
    array.as_primitive::<T>().clone()
}

fn named(zone: &str) -> Result<chrono_tz::Tz> {
    zone.parse()
        .map_err(|_| Error::new(Kind::InvalidParameterValue, format!("time zone \"{zone}\" not recognized")).into())
}

/// `{:e}` writes the shortest digits that read back as the same number; PostgreSQL shows them without an exponent
/// while it lies between -4 and `most`.
fn float(value: f64, scientific: String, most: i32, out: &mut dyn Write) -> std::fmt::Result {
    if !value.is_finite() {
        return out.write_str(if value.is_nan() {
            "NaN"
        } else if value < 0.0 {
            "-Infinity"
        } else {
            "Infinity"
        });
    }
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..most).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(out, "{digits}e{sign}{:02}", exponent.abs());
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let plain: String = digits.chars().filter(|digit| *digit != '.').collect();
    out.write_str(sign)?;
    match usize::try_from(exponent) {
        Ok(whole) if plain.len() > whole + 1 => write!(out, "{}.{}", &plain[..whole + 1], &plain[whole + 1..]),
        Ok(whole) => write!(out, "{plain}{}", "0".repeat(whole + 1 - plain.len())),
        Err(_) => write!(out, "0.{}{plain}", "0".repeat(exponent.unsigned_abs() as usize - 1)),
    }
}

fn local(micros: i64, out: &mut dyn Write) -> std::fmt::Result {
    let Some(moment) = DateTime::from_timestamp_micros(micros) else { return Err(std::fmt::Error) };
    write!(out, "{}", moment.format("%Y-%m-%d %H:%M:%S"))?;
    fraction(i64::from(moment.nanosecond() / 1_000), out)
}

fn moment(micros: i64, zone: chrono_tz::Tz, out: &mut dyn Write) -> std::fmt::Result {
    let Some(moment) = DateTime::from_timestamp_micros(micros) else { return Err(std::fmt::Error) };
    let seconds = zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc();
    local(micros + i64::from(seconds) * 1_000_000, out)?;
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    write!(out, "{sign}{:02}", seconds / 3_600)?;
    match seconds % 3_600 {
        0 => Ok(()),
        rest if rest % 60 == 0 => write!(out, ":{:02}", rest / 60),
        rest => write!(out, ":{:02}:{:02}", rest / 60, rest % 60),
    }
}

fn clock(micros: i64, out: &mut dyn Write) -> std::fmt::Result {
    let seconds = micros / 1_000_000;
    write!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)?;
    fraction(micros % 1_000_000, out)
}

fn fraction(micros: i64, out: &mut dyn Write) -> std::fmt::Result {
    if micros == 0 { Ok(()) } else { write!(out, ".{}", format!("{micros:06}").trim_end_matches('0')) }
}

/// `EncodeInterval` in the style `postgres`.
fn interval(months: i32, days: i32, micros: i64, out: &mut dyn Write) -> std::fmt::Result {
    let mut parts: Vec<String> = vec![];
    let mut negative = false;
    for (count, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if count != 0 {
            let plus = if negative && count > 0 { "+" } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            parts.push(format!("{plus}{count} {unit}{plural}"));
            negative = count < 0;
        }
    }
    if micros != 0 || parts.is_empty() {
        let sign = if micros < 0 {
            "-"
        } else if negative {
            "+"
        } else {
            ""
        };
        let mut text = sign.to_string();
        clock(micros.unsigned_abs() as i64, &mut text)?;
        parts.push(text);
    }
    out.write_str(&parts.join(" "))
}

fn list_writer(array: &ArrayRef, zone: &Arc<str>) -> Result<Write1> {
    let element = match array.data_type() {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => Arc::clone(field),
        _ => return Err(Error::internal("not a list").into()),
    };
    let nested =
        matches!(element.data_type(), DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..));
    let lists = cast(array, &DataType::LargeList(element))?;
    let lists = lists.as_list::<i64>().clone();
    let values = Arc::clone(lists.values());
    let write = writer(&values, zone)?;
    Ok(Box::new(move |row, out| {
        let offsets = lists.value_offsets();
        out.write_char('{')?;
        for (position, index) in (offsets[row]..offsets[row + 1]).enumerate() {
            let index = index as usize;
            if position > 0 {
                out.write_char(',')?;
            }
            if values.is_null(index) {
                out.write_str("NULL")?;
            } else if nested {
                write(index, out)?;
            } else {
                let mut text = String::new();
                write(index, &mut text)?;
                element_text(&text, out)?;
            }
        }
        out.write_char('}')
    }))
}

fn element_text(text: &str, out: &mut dyn Write) -> std::fmt::Result {
    let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace();
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        return out.write_str(text);
    }
    write!(out, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Structs and maps, and what they hold, as JSON.
fn json(array: &ArrayRef, row: usize, zone: &Arc<str>) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter().zip(fields);
            let entry = |(column, field): (&ArrayRef, &Arc<arrow::datatypes::Field>)| {
                Ok((field.name().clone(), json(column, row, zone)?))
            };
            Value::Object(columns.map(entry).collect::<Result<_>>()?)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let write = writer(keys, zone)?;
            let entry = |index: usize| {
                let mut key = String::new();
                let _ = write(index, &mut key);
                Ok((key, json(values, index, zone)?))
            };
            Value::Object((0..keys.len()).map(entry).collect::<Result<_>>()?)
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            let lists = cast(array, &DataType::LargeList(Arc::clone(field)))?;
            let items = lists.as_list::<i64>().value(row);
            Value::Array((0..items.len()).map(|index| json(&items, index, zone)).collect::<Result<_>>()?)
        }
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        data_type => {
            let mut text = String::new();
            let written = writer(array, zone)?(row, &mut text);
            written.map_err(|_| Error::new(Kind::DataException, "value out of range"))?;
            let number = data_type.is_numeric().then(|| text.parse::<serde_json::Number>().ok()).flatten();
            number.map_or(Value::String(text), Value::Number)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_as_in_postgres() {
        let check = |value: f64, expected: &str| {
            let mut out = String::new();
            float(value, format!("{value:e}"), 15, &mut out).unwrap();
            assert_eq!(out, expected);
        };
        check(1.0, "1");
        check(-0.1, "-0.1");
        check(123.456, "123.456");
        check(100_000.0, "100000");
        check(1e15, "1e+15");
        check(1.5e-5, "1.5e-05");
        check(0.00015, "0.00015");
        check(f64::NEG_INFINITY, "-Infinity");
    }

    #[test]
    fn intervals_look_as_in_postgres() {
        let check = |months, days, micros, expected: &str| {
            let mut out = String::new();
            interval(months, days, micros, &mut out).unwrap();
            assert_eq!(out, expected);
        };
        check(14, 3, 14_706_000_000, "1 year 2 mons 3 days 04:05:06");
        check(0, -1, 7_200_000_000, "-1 days +02:00:00");
        check(0, 0, 0, "00:00:00");
        check(0, 0, -500_000, "-00:00:00.5");
    }
}
