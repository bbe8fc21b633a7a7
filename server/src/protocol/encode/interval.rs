//! Intervals and durations: months, days and microseconds in the four styles of `IntervalStyle`, after
//! `EncodeInterval` in PostgreSQL's `datetime.c`. Nanoseconds are cut off towards zero.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, TimeUnit,
};
use bytes::{BufMut, BytesMut};

use super::cell::{Cell, cell};
use super::datetime::{pair, put_fraction};
use super::options::{EncodeOptions, IntervalStyle};
use crate::protocol::error::{Result, ValueError};

/// Text of an interval or duration column.
pub(super) fn text(array: &ArrayRef, options: &EncodeOptions) -> Option<Box<dyn Cell>> {
    let (spans, style) = (spans(array)?, options.interval_style);
    Some(cell(move |row, out| {
        spans(row)?.parts().write(style, out);
        Ok(())
    }))
}

/// Binary form of the same columns: microseconds, days, months.
pub(super) fn binary(array: &ArrayRef) -> Option<Box<dyn Cell>> {
    let spans = spans(array)?;
    Some(cell(move |row, out| {
        let span = spans(row)?;
        out.put_i64(span.micros);
        out.put_i32(span.days);
        out.put_i32(span.months);
        Ok(())
    }))
}

#[derive(Clone, Copy)]
struct Span {
    months: i32,
    days: i32,
    micros: i64,
}

fn spans(array: &ArrayRef) -> Option<Box<dyn Fn(usize) -> Result<Span> + Send + Sync>> {
    macro_rules! spans {
        ($type:ty, $convert:expr) => {{
            let values = array.as_primitive::<$type>().values().clone();
            Box::new(move |row| $convert(values[row]))
        }};
    }
    let duration = |micros: Option<i64>| match micros {
        Some(micros) => Ok(Span { months: 0, days: 0, micros }),
        None => Err(ValueError::out_of_range("interval")),
    };
    Some(match array.data_type() {
        DataType::Interval(IntervalUnit::YearMonth) => {
            spans!(IntervalYearMonthType, |months| Ok(Span { months, days: 0, micros: 0 }))
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            spans!(IntervalDayTimeType, |value: arrow::datatypes::IntervalDayTime| Ok(Span {
                months: 0,
                days: value.days,
                micros: i64::from(value.milliseconds) * 1_000,
            }))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            spans!(IntervalMonthDayNanoType, |value: arrow::datatypes::IntervalMonthDayNano| Ok(Span {
                months: value.months,
                days: value.days,
                micros: value.nanoseconds / 1_000,
            }))
        }
        DataType::Duration(TimeUnit::Second) => {
            spans!(DurationSecondType, |value: i64| duration(value.checked_mul(1_000_000)))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            spans!(DurationMillisecondType, |value: i64| duration(value.checked_mul(1_000)))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            spans!(DurationMicrosecondType, |value: i64| duration(Some(value)))
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            spans!(DurationNanosecondType, |value: i64| duration(Some(value / 1_000)))
        }
        _ => return None,
    })
}

impl Span {
    fn parts(self) -> Parts {
        let seconds = self.micros / 1_000_000;
        Parts {
            years: i64::from(self.months / 12),
            months: i64::from(self.months % 12),
            days: i64::from(self.days),
            hours: seconds / 3_600,
            minutes: seconds / 60 % 60,
            seconds: seconds % 60,
            micros: self.micros % 1_000_000,
        }
    }
}

/// An interval split into the units it is shown in, each with its own sign.
#[derive(Clone, Copy)]
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Parts {
    fn write(self, style: IntervalStyle, out: &mut BytesMut) {
        match style {
            IntervalStyle::Postgres => self.postgres(out),
            IntervalStyle::PostgresVerbose => self.verbose(out),
            IntervalStyle::SqlStandard => self.sql_standard(out),
            IntervalStyle::Iso8601 => self.iso_8601(out),
        }
    }

    fn time(self) -> [i64; 4] {
        [self.hours, self.minutes, self.seconds, self.micros]
    }

    fn postgres(self, out: &mut BytesMut) {
        let start = out.len();
        let mut negative_before = false;
        for (value, unit) in [(self.years, " year"), (self.months, " mon"), (self.days, " day")] {
            if value == 0 {
                continue;
            }
            if out.len() > start {
                out.put_u8(b' ');
            }
            if negative_before && value > 0 {
                out.put_u8(b'+');
            }
            put_integer(value, out);
            out.extend_from_slice(unit.as_bytes());
            if value != 1 {
                out.put_u8(b's');
            }
            negative_before = value < 0;
        }
        let time = self.time();
        if out.len() > start && time.iter().all(|value| *value == 0) {
            return;
        }
        if out.len() > start {
            out.put_u8(b' ');
        }
        if time.iter().any(|value| *value < 0) {
            out.put_u8(b'-');
        } else if negative_before {
            out.put_u8(b'+');
        }
        put_padded(self.hours, out);
        out.put_u8(b':');
        put_padded(self.minutes, out);
        out.put_u8(b':');
        self.put_seconds(true, out);
    }

    fn verbose(self, out: &mut BytesMut) {
        let (mut zero, mut ago) = (true, false);
        out.put_u8(b'@');
        let units = [
            (self.years, "year"),
            (self.months, "mon"),
            (self.days, "day"),
            (self.hours, "hour"),
            (self.minutes, "min"),
        ];
        for (value, unit) in units {
            if value == 0 {
                continue;
            }
            ago = if zero { value < 0 } else { ago };
            zero = false;
            let shown = if ago { -value } else { value };
            out.put_u8(b' ');
            put_integer(shown, out);
            out.put_u8(b' ');
            out.extend_from_slice(unit.as_bytes());
            if shown != 1 {
                out.put_u8(b's');
            }
        }
        if self.seconds != 0 || self.micros != 0 {
            let negative = self.seconds < 0 || self.micros < 0;
            ago = if zero { negative } else { ago };
            zero = false;
            out.put_u8(b' ');
            if negative != ago {
                out.put_u8(b'-');
            }
            self.put_seconds(false, out);
            out.extend_from_slice(if self.seconds.abs() == 1 && self.micros == 0 { b" sec" } else { b" secs" });
        }
        if zero {
            out.extend_from_slice(b" 0");
        }
        if ago {
            out.extend_from_slice(b" ago");
        }
    }

    fn sql_standard(mut self, out: &mut BytesMut) {
        let values = [self.years, self.months, self.days, self.hours, self.minutes, self.seconds, self.micros];
        let (negative, positive) = (values.iter().any(|value| *value < 0), values.iter().any(|value| *value > 0));
        let year_month = self.years != 0 || self.months != 0;
        let time = self.time().iter().any(|value| *value != 0);
        if !negative && !positive {
            return out.put_u8(b'0');
        }
        if negative && positive || year_month && (self.days != 0 || time) {
            let sign = |negative: bool| if negative { b'-' } else { b'+' };
            out.put_u8(sign(self.years < 0 || self.months < 0));
            put_integer(self.years.abs(), out);
            out.put_u8(b'-');
            put_integer(self.months.abs(), out);
            out.extend_from_slice(&[b' ', sign(self.days < 0)]);
            put_integer(self.days.abs(), out);
            out.extend_from_slice(&[b' ', sign(self.time().iter().any(|value| *value < 0))]);
            return self.put_clock(out);
        }
        if negative {
            out.put_u8(b'-');
            (self.years, self.months, self.days) = (-self.years, -self.months, -self.days);
        }
        if year_month {
            put_integer(self.years, out);
            out.put_u8(b'-');
            return put_integer(self.months, out);
        }
        if self.days != 0 {
            put_integer(self.days, out);
            out.put_u8(b' ');
        }
        self.put_clock(out);
    }

    fn iso_8601(self, out: &mut BytesMut) {
        let start = out.len();
        out.put_u8(b'P');
        for (value, unit) in [(self.years, b'Y'), (self.months, b'M'), (self.days, b'D')] {
            put_unit(value, unit, out);
        }
        if self.time().iter().any(|value| *value != 0) {
            out.put_u8(b'T');
            put_unit(self.hours, b'H', out);
            put_unit(self.minutes, b'M', out);
            if self.seconds != 0 || self.micros != 0 {
                if self.seconds < 0 || self.micros < 0 {
                    out.put_u8(b'-');
                }
                self.put_seconds(false, out);
                out.put_u8(b'S');
            }
        }
        if out.len() == start + 1 {
            out.extend_from_slice(b"T0S");
        }
    }

    /// `4:05:06.789` without a sign.
    fn put_clock(self, out: &mut BytesMut) {
        put_integer(self.hours.abs(), out);
        out.put_u8(b':');
        put_padded(self.minutes, out);
        out.put_u8(b':');
        self.put_seconds(true, out);
    }

    fn put_seconds(self, padded: bool, out: &mut BytesMut) {
        if padded {
            put_padded(self.seconds, out);
        } else {
            put_integer(self.seconds.abs(), out);
        }
        put_fraction(self.micros.unsigned_abs() as u32, out);
    }
}

fn put_integer(value: i64, out: &mut BytesMut) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The magnitude with two digits at least.
fn put_padded(value: i64, out: &mut BytesMut) {
    if value.abs() < 100 {
        out.extend_from_slice(&pair(value.unsigned_abs() as u32));
    } else {
        put_integer(value.abs(), out);
    }
}

fn put_unit(value: i64, unit: u8, out: &mut BytesMut) {
    if value != 0 {
        put_integer(value, out);
        out.put_u8(unit);
    }
}
