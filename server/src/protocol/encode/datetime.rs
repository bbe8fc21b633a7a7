//! Dates, times and timestamps. PostgreSQL counts microseconds: nanoseconds are cut off towards the past, so that a
//! time never shows a later second than it has. What lies outside PostgreSQL's range is an error, as it is there.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use bytes::{BufMut, BytesMut};

use super::cell::{Cell, cell};
use super::options::EncodeOptions;
use crate::protocol::calendar::{
    DATE_DAYS, DAY_MICROS, DAY_SECONDS, EPOCH_SHIFT_DAYS, EPOCH_SHIFT_SECONDS, TIMESTAMP_MICROS, civil_from_days,
};
use crate::protocol::error::{Result, ValueError};
use crate::protocol::time_zone::TimeZone;

/// How a date and time are put together in text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `2024-02-29 12:00:00+02`, PostgreSQL's ISO style.
    Plain,
    /// `2024-02-29T12:00:00+02:00`, as PostgreSQL writes inside JSON.
    Json,
}

/// Text of a date, time or timestamp column.
pub(super) fn text(array: &ArrayRef, options: &EncodeOptions, style: Style) -> Option<Box<dyn Cell>> {
    if let Some(days) = dates(array) {
        return Some(cell(move |row, out| {
            put_date(days(row)?, false, out);
            Ok(())
        }));
    }
    if let Some(micros) = times(array) {
        return Some(cell(move |row, out| {
            put_time(micros(row)?, out);
            Ok(())
        }));
    }
    let micros = timestamps(array)?;
    let zone =
        matches!(array.data_type(), DataType::Timestamp(_, Some(_))).then(|| Arc::new(options.time_zone.clone()));
    Some(cell(move |row, out| {
        put_timestamp(micros(row)?, zone.as_deref(), style, out);
        Ok(())
    }))
}

/// Binary form of the same columns: days or microseconds since 2000-01-01, or microseconds of the day.
pub(super) fn binary(array: &ArrayRef) -> Option<Box<dyn Cell>> {
    if let Some(days) = dates(array) {
        return Some(cell(move |row, out| {
            // The range of dates was checked: it fits 32 bits.
            out.put_i32((days(row)? - EPOCH_SHIFT_DAYS) as i32);
            Ok(())
        }));
    }
    let micros = times(array).or_else(|| timestamps(array))?;
    Some(cell(move |row, out| {
        out.put_i64(micros(row)?);
        Ok(())
    }))
}

type Read = Box<dyn Fn(usize) -> Result<i64> + Send + Sync>;

/// Days since 1970, within PostgreSQL's range.
fn dates(array: &ArrayRef) -> Option<Read> {
    let checked = |days: i64| if DATE_DAYS.contains(&days) { Ok(days) } else { Err(ValueError::out_of_range("date")) };
    Some(match array.data_type() {
        DataType::Date32 => read::<Date32Type>(array, move |days| checked(i64::from(days))),
        DataType::Date64 => read::<Date64Type>(array, move |millis| checked(millis.div_euclid(DAY_SECONDS * 1_000))),
        _ => return None,
    })
}

/// Microseconds since midnight, 24:00 included.
fn times(array: &ArrayRef) -> Option<Read> {
    let checked = |micros: Option<i64>| {
        micros.filter(|micros| (0..=DAY_MICROS).contains(micros)).ok_or_else(|| ValueError::out_of_range("time"))
    };
    Some(match array.data_type() {
        DataType::Time32(TimeUnit::Second) => {
            read::<Time32SecondType>(array, move |value| checked(Some(i64::from(value) * 1_000_000)))
        }
        DataType::Time32(_) => {
            read::<Time32MillisecondType>(array, move |value| checked(Some(i64::from(value) * 1_000)))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            read::<Time64NanosecondType>(array, move |value| checked(Some(value.div_euclid(1_000))))
        }
        DataType::Time64(_) => read::<Time64MicrosecondType>(array, move |value| checked(Some(value))),
        _ => return None,
    })
}

/// Microseconds since 2000-01-01 UTC, within PostgreSQL's range.
fn timestamps(array: &ArrayRef) -> Option<Read> {
    let checked = |micros: Option<i64>| {
        micros.filter(|micros| TIMESTAMP_MICROS.contains(micros)).ok_or_else(|| ValueError::out_of_range("timestamp"))
    };
    // The epoch is shifted in the column's own unit, so that nothing overflows before the range is checked.
    let scaled = move |value: i64, per_second: i64| {
        let shifted = value.checked_sub(EPOCH_SHIFT_SECONDS * per_second);
        checked(shifted.and_then(|value| value.checked_mul(1_000_000 / per_second)))
    };
    Some(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => read::<TimestampSecondType>(array, move |value| scaled(value, 1)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            read::<TimestampMillisecondType>(array, move |value| scaled(value, 1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            read::<TimestampMicrosecondType>(array, move |value| scaled(value, 1_000_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            read::<TimestampNanosecondType>(array, move |value| scaled(value.div_euclid(1_000), 1_000_000))
        }
        _ => return None,
    })
}

fn read<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    convert: impl Fn(T::Native) -> Result<i64> + Send + Sync + 'static,
) -> Read {
    let values = array.as_primitive::<T>().values().clone();
    Box::new(move |row| convert(values[row]))
}

/// Writes microseconds since 2000-01-01: as they are, or in a zone with its offset.
fn put_timestamp(micros: i64, zone: Option<&TimeZone>, style: Style, out: &mut BytesMut) {
    let seconds = micros.div_euclid(1_000_000) + EPOCH_SHIFT_SECONDS;
    let offset_seconds = zone.map(|zone| zone.offset_seconds_at(seconds));
    let local_seconds = seconds + i64::from(offset_seconds.unwrap_or(0));
    let before_christ = put_date(local_seconds.div_euclid(DAY_SECONDS), true, out);
    out.put_u8(if style == Style::Json { b'T' } else { b' ' });
    put_time(local_seconds.rem_euclid(DAY_SECONDS) * 1_000_000 + micros.rem_euclid(1_000_000), out);
    if let Some(offset_seconds) = offset_seconds {
        put_offset(offset_seconds, style, out);
    }
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}

/// Writes a day since 1970 and says whether it lies before Christ; that mark comes last, so a timestamp asks to
/// write it itself.
fn put_date(days: i64, mark_later: bool, out: &mut BytesMut) -> bool {
    let (year, month, day) = civil_from_days(days);
    let before_christ = year <= 0;
    let shown = if before_christ { 1 - year } else { year } as u32;
    if shown > 9_999 {
        out.extend_from_slice(itoa::Buffer::new().format(shown).as_bytes());
    } else {
        let (century, year) = (pair(shown / 100), pair(shown % 100));
        out.extend_from_slice(&[century[0], century[1], year[0], year[1]]);
    }
    let (month, day) = (pair(month), pair(day));
    out.extend_from_slice(&[b'-', month[0], month[1], b'-', day[0], day[1]]);
    if before_christ && !mark_later {
        out.extend_from_slice(b" BC");
    }
    before_christ
}

/// `12:34:56` or `12:34:56.789`.
fn put_time(micros: i64, out: &mut BytesMut) {
    let seconds = (micros / 1_000_000) as u32;
    let (hour, minute, second) = (pair(seconds / 3_600), pair(seconds / 60 % 60), pair(seconds % 60));
    out.extend_from_slice(&[hour[0], hour[1], b':', minute[0], minute[1], b':', second[0], second[1]]);
    put_fraction((micros % 1_000_000) as u32, out);
}

/// The fraction of a second without zeros at its end; nothing for a whole second.
pub(super) fn put_fraction(micros: u32, out: &mut BytesMut) {
    if micros == 0 {
        return;
    }
    let (first, second, third) = (pair(micros / 10_000), pair(micros / 100 % 100), pair(micros % 100));
    let digits = [b'.', first[0], first[1], second[0], second[1], third[0], third[1]];
    let length = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    out.extend_from_slice(digits.get(..length).unwrap_or_default());
}

/// `+02`, `+05:30` or `-04:56:02`; JSON has the minutes always.
fn put_offset(offset_seconds: i32, style: Style, out: &mut BytesMut) {
    let seconds = offset_seconds.unsigned_abs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    out.put_u8(if offset_seconds < 0 { b'-' } else { b'+' });
    if hours > 99 {
        out.extend_from_slice(itoa::Buffer::new().format(hours).as_bytes());
    } else {
        out.extend_from_slice(&pair(hours));
    }
    if minutes != 0 || seconds != 0 || style == Style::Json {
        let minutes = pair(minutes);
        out.extend_from_slice(&[b':', minutes[0], minutes[1]]);
    }
    if seconds != 0 {
        let seconds = pair(seconds);
        out.extend_from_slice(&[b':', seconds[0], seconds[1]]);
    }
}

/// Two digits of a number below 100.
#[inline]
pub(super) fn pair(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}
