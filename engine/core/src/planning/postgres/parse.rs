//! Text to a value, as PostgreSQL reads it: times without seconds, bytes in hex, arrays in braces, and local times in
//! the session's zone.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Date32Array, ListBuilder, PrimitiveArray, StringBuilder};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use chrono::NaiveDate;
use datafusion::error::Result;

use super::Operation;
use crate::error::{Error, Kind};

/// Text to `target`; a moment without a zone is one in `zone`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Parse {
    pub target: DataType,
    pub zone: Arc<str>,
}

/// Whether the planner's own cast reads it otherwise.
pub(super) fn has_own_form(target: &DataType) -> bool {
    matches!(
        target,
        DataType::Timestamp(..)
            | DataType::Date32
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::List(_)
    )
}

impl Operation for Parse {
    fn name(&self) -> &'static str {
        "parse_text"
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.target.clone())
    }

    fn apply(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        let [texts] = arguments else { return Err(Error::internal("parse_text takes one value").into()) };
        parsed(&cast(texts, &DataType::Utf8)?, &self.target, &self.zone)
    }
}

fn parsed(texts: &ArrayRef, target: &DataType, zone: &str) -> Result<ArrayRef> {
    let values = texts.as_string::<i32>();
    let array: ArrayRef = match target {
        DataType::Timestamp(_, target_zone) => {
            let zone: Tz = (if target_zone.is_some() { zone } else { "UTC" }).parse()?;
            let read = |text: &str| timestamp(text, &zone, target_zone.is_some());
            let micros = values.iter().map(|text| text.map(read).transpose());
            let micros = micros.collect::<Result<PrimitiveArray<TimestampMicrosecondType>>>()?;
            Arc::new(micros.with_data_type(DataType::Timestamp(TimeUnit::Microsecond, target_zone.clone())))
        }
        DataType::Date32 => {
            let days = values.iter().map(|text| text.map(date).transpose());
            Arc::new(days.collect::<Result<Date32Array>>()?)
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let mut builder = BinaryBuilder::new();
            for text in values.iter() {
                builder.append_option(text.map(bytes).transpose()?);
            }
            Arc::new(builder.finish())
        }
        DataType::List(element) => {
            let mut builder = ListBuilder::new(StringBuilder::new());
            for text in values.iter() {
                match text {
                    None => builder.append_null(),
                    Some(text) => builder.append_value(elements(text)?),
                }
            }
            let (_, offsets, inner, nulls) = builder.finish().into_parts();
            let own = has_own_form(element.data_type());
            let inner =
                if own { parsed(&inner, element.data_type(), zone)? } else { cast_text(&inner, element.data_type())? };
            Arc::new(arrow::array::ListArray::try_new(Arc::clone(element), offsets, inner, nulls)?)
        }
        other => return cast_text(texts, other),
    };
    Ok(if array.data_type() == target { array } else { cast(&array, target)? })
}

fn cast_text(texts: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    Ok(arrow::compute::cast_with_options(texts, target, &options)?)
}

fn invalid(kind: Kind, type_name: &str, text: &str) -> Error {
    Error::new(kind, format!("invalid input syntax for type {type_name}: \"{text}\""))
}

/// Microseconds since 1970.
fn timestamp(text: &str, zone: &Tz, keeps_zone: bool) -> Result<i64> {
    let name = if keeps_zone { "timestamp with time zone" } else { "timestamp" };
    let spelled = spelled_out(text.trim(), keeps_zone);
    let moment = string_to_datetime(zone, &spelled).map_err(|_| invalid(Kind::InvalidDatetime, name, text))?;
    Ok(moment.timestamp_micros())
}

/// With two digits for month, day and hour, with seconds, and without the zone where none is kept.
fn spelled_out(text: &str, keeps_zone: bool) -> String {
    let (date, rest) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let rest = rest.trim_start();
    let ends = rest.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(rest.len());
    let (time, zone) = rest.split_at(ends);
    let zone = if keeps_zone { zone } else { "" };
    let time = match time.split(':').count() {
        2 => format!("{time}:00"),
        _ => time.to_string(),
    };
    let time = if time.find(':') == Some(1) { format!("0{time}") } else { time };
    let date = padded(date);
    if time.is_empty() { format!("{date}{zone}") } else { format!("{date} {time}{zone}") }
}

fn padded(date: &str) -> String {
    let parts: Vec<&str> = date.split('-').collect();
    match parts.as_slice() {
        [year, month, day] if year.len() >= 4 => format!("{year}-{month:0>2}-{day:0>2}"),
        _ => date.to_string(),
    }
}

/// Days since 1970. A time after the date is left out.
fn date(text: &str) -> Result<i32> {
    let trimmed = text.trim();
    let day = trimmed.split(['T', ' ']).next().unwrap_or(trimmed);
    let parsed = NaiveDate::parse_from_str(&padded(day), "%Y-%m-%d").ok().map(|day| {
        let epoch = NaiveDate::default();
        day.signed_duration_since(epoch).num_days() as i32
    });
    parsed.or_else(|| Date32Type::parse(trimmed)).ok_or_else(|| invalid(Kind::InvalidDatetime, "date", text).into())
}

fn bytes(text: &str) -> Result<Vec<u8>> {
    let Some(digits) = text.strip_prefix("\\x") else { return Ok(text.as_bytes().to_vec()) };
    let wrong = || invalid(Kind::InvalidTextRepresentation, "bytea", text);
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(2) {
        return Err(wrong().into());
    }
    let nibble = |byte: u8| char::from(byte).to_digit(16).ok_or_else(wrong);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Ok((nibble(*high)? * 16 + nibble(*low)?) as u8),
        _ => Err(wrong()),
    };
    Ok(digits.chunks(2).map(pair).collect::<Result<_, Error>>()?)
}

/// The elements between the braces, still as text; an array within keeps its braces.
fn elements(text: &str) -> Result<Vec<Option<String>>> {
    let malformed = |detail: &str| {
        Error::new(Kind::InvalidTextRepresentation, format!("malformed array literal: \"{text}\"")).with_detail(detail)
    };
    let inner = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let inner = inner.ok_or_else(|| malformed("Array value must start with \"{\" and end with \"}\"."))?;
    let mut found = vec![];
    if inner.trim().is_empty() {
        return Ok(found);
    }
    let (mut item, mut quoted, mut depth, mut in_quotes) = (String::new(), false, 0_usize, false);
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next().ok_or_else(|| malformed("Unexpected end of input."))?;
                if depth > 0 {
                    item.push('\\');
                }
                item.push(escaped);
            }
            '"' => {
                in_quotes = !in_quotes;
                quoted = true;
                if depth > 0 {
                    item.push('"');
                }
            }
            '{' if !in_quotes => {
                depth += 1;
                item.push('{');
            }
            '}' if !in_quotes => {
                depth = depth.checked_sub(1).ok_or_else(|| malformed("Junk after closing right brace."))?;
                item.push('}');
            }
            ',' if !in_quotes && depth == 0 => {
                found.push(element(std::mem::take(&mut item), std::mem::take(&mut quoted)));
            }
            other => item.push(other),
        }
    }
    if in_quotes || depth > 0 {
        return Err(malformed("Unexpected end of input.").into());
    }
    found.push(element(item, quoted));
    Ok(found)
}

fn element(item: String, quoted: bool) -> Option<String> {
    if quoted {
        return Some(item);
    }
    let trimmed = item.trim();
    (!trimmed.eq_ignore_ascii_case("null")).then(|| trimmed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_out() {
        let check = |text: &str, keeps_zone, expected: &str| assert_eq!(spelled_out(text, keeps_zone), expected);
        check("2026-01-02 03:04", false, "2026-01-02 03:04:00");
        check("2026-1-2T3:04:05.5Z", false, "2026-01-02 03:04:05.5");
        check("2026-01-02 03:04+02", true, "2026-01-02 03:04:00+02");
        check("2026-01-02 03:04:05 Europe/Berlin", true, "2026-01-02 03:04:05 Europe/Berlin");
        check("2026-01-02", true, "2026-01-02");
    }

    #[test]
    fn elements_of_arrays() {
        let check = |text: &str, expected: &[Option<&str>]| {
            let expected: Vec<_> = expected.iter().map(|item| item.map(str::to_string)).collect();
            assert_eq!(elements(text).unwrap(), expected, "{text}");
        };
        check("{}", &[]);
        check("{1, 2,NULL}", &[Some("1"), Some("2"), None]);
        check(r#"{"a b","c\"d","NULL",""}"#, &[Some("a b"), Some("c\"d"), Some("NULL"), Some("")]);
        check("{{1,2},{3}}", &[Some("{1,2}"), Some("{3}")]);
        assert!(elements("1,2").is_err());
        assert!(elements("{1").is_err());
    }
}
