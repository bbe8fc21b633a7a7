//! Single values in text form, as PostgreSQL's input functions read them.

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use serde::de::IgnoredAny;

use super::number::Decimal;
use super::{datetime, interval, scalar, unsupported};
use crate::protocol::error::{Kind, Result, ValueError};
use crate::protocol::time_zone::TimeZone;
use crate::protocol::types::*;

/// Reads text as a value of the type `oid`. `wanted` matters for a `numeric` without a decimal form (`NaN`) only.
pub(super) fn scalar(text: &str, oid: u32, wanted: &DataType, time_zone: &TimeZone) -> Result<ScalarValue> {
    Ok(match oid {
        BOOL => ScalarValue::Boolean(Some(boolean(text)?)),
        INT2 => ScalarValue::Int16(Some(integer(text, oid)?)),
        INT4 => ScalarValue::Int32(Some(integer(text, oid)?)),
        INT8 => ScalarValue::Int64(Some(integer(text, oid)?)),
        OID => ScalarValue::UInt32(Some(object_id(text)?)),
        FLOAT4 => ScalarValue::Float32(Some(float(text, oid)?)),
        FLOAT8 => ScalarValue::Float64(Some(float(text, oid)?)),
        NUMERIC => match float::<f64>(text, oid) {
            Ok(value) if !value.is_finite() && !text.contains(|byte: char| byte.is_ascii_digit()) => {
                scalar::not_finite(value, wanted)?
            }
            _ => Decimal::from_text(text)?.into_scalar()?,
        },
        TEXT | VARCHAR | BPCHAR | NAME => ScalarValue::Utf8(Some(text.to_owned())),
        JSON | JSONB => ScalarValue::Utf8(Some(json(text)?.to_owned())),
        UUID => ScalarValue::Utf8(Some(uuid(text)?)),
        BYTEA => ScalarValue::Binary(Some(bytea(text)?)),
        DATE => scalar::date(datetime::date(text)?)?,
        TIME => scalar::time(datetime::time(text)?)?,
        TIMESTAMP => scalar::timestamp(datetime::timestamp(text)?, false)?,
        TIMESTAMPTZ => scalar::timestamp(datetime::timestamp_with_zone(text, time_zone)?, true)?,
        INTERVAL => {
            let (months, days, micros) = interval::parse(text)?;
            scalar::interval(months, days, micros)?
        }
        _ => return Err(unsupported(oid)),
    })
}

/// Any unambiguous beginning of true, yes, on, false, no, off; or 1 and 0.
fn boolean(text: &str) -> Result<bool> {
    let word = text.trim_ascii().to_ascii_lowercase();
    let begins = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if word == "1" || begins("true", 1) || begins("yes", 1) || begins("on", 2) {
        Ok(true)
    } else if word == "0" || begins("false", 1) || begins("no", 1) || begins("off", 2) {
        Ok(false)
    } else {
        Err(ValueError::invalid_text("boolean", text))
    }
}

fn integer<T: std::str::FromStr<Err = std::num::ParseIntError>>(text: &str, oid: u32) -> Result<T> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.trim_ascii().parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        PosOverflow | NegOverflow => ValueError::number_out_of_range(type_name(oid), text),
        _ => ValueError::invalid_text(type_name(oid), text),
    })
}

/// An `oid` may be written as a negative number too, which wraps.
fn object_id(text: &str) -> Result<u32> {
    let value: i64 = integer(text, OID)?;
    u32::try_from(value)
        .or_else(|_| i32::try_from(value).map(i32::cast_unsigned))
        .map_err(|_| ValueError::number_out_of_range("oid", text))
}

/// A float. What overflows, or becomes zero though it isn't, is out of range, as in PostgreSQL.
fn float<T: Into<f64> + Copy + std::str::FromStr>(text: &str, oid: u32) -> Result<T> {
    let trimmed = text.trim_ascii();
    let parsed: T = trimmed.parse().map_err(|_| ValueError::invalid_text(type_name(oid), text))?;
    let value: f64 = parsed.into();
    let mantissa = trimmed.split(['e', 'E']).next().unwrap_or_default();
    let digits_nonzero = mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if digits_nonzero && (value.is_infinite() || value == 0.0) {
        return Err(ValueError::new(
            Kind::NumberOutOfRange,
            format!("\"{}\" is out of range for type {}", trimmed, type_name(oid)),
        ));
    }
    Ok(parsed)
}

/// JSON text, unchanged once it is known to be JSON.
pub(super) fn json(text: &str) -> Result<&str> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(text),
        Err(error) => {
            Err(ValueError::new(Kind::InvalidText, "invalid input syntax for type json")
                .with_detail(format!("{error}.")))
        }
    }
}

/// 32 hexadecimal digits, with a hyphen allowed after every four and braces around; as lowercase 8-4-4-4-12.
fn uuid(text: &str) -> Result<String> {
    let invalid = || ValueError::invalid_text("uuid", text);
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(invalid)?,
        None => text,
    };
    let mut digits = String::with_capacity(32);
    for character in inner.chars() {
        match character {
            '-' if digits.len().is_multiple_of(4) && !digits.is_empty() && digits.len() < 32 => {}
            _ if character.is_ascii_hexdigit() => digits.push(character.to_ascii_lowercase()),
            _ => return Err(invalid()),
        }
    }
    if inner.contains("--") || digits.len() != 32 {
        return Err(invalid());
    }
    Ok(scalar::uuid_text(u128::from_str_radix(&digits, 16).map_err(|_| invalid())?))
}

/// `\x` and hexadecimal digits in pairs (blanks between pairs allowed), or the escape form.
fn bytea(text: &str) -> Result<Vec<u8>> {
    let invalid = || ValueError::invalid_text("bytea", text);
    if let Some(hex) = text.strip_prefix("\\x") {
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8).ok_or_else(invalid);
        let mut bytes = Vec::with_capacity(hex.len() / 2);
        let mut rest = hex.bytes();
        while let Some(byte) = rest.next() {
            if byte.is_ascii_whitespace() {
                continue;
            }
            bytes.push(digit(byte)? << 4 | digit(rest.next().ok_or_else(invalid)?)?);
        }
        return Ok(bytes);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (b'\\', [high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', after @ ..]) => {
                bytes.push((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
                after
            }
            (b'\\', _) => return Err(invalid()),
            _ => {
                bytes.push(*byte);
                after
            }
        };
    }
    Ok(bytes)
}
