//! Dates, times and timestamps in ISO text: what PostgreSQL and every driver write, with the variations that stand
//! in hand-written SQL (`T` or blank, zone by offset or name, `BC`, `YYYYMMDD`).

use super::scalar::infinite;
use crate::protocol::calendar::{
    DAY_MICROS, DAY_SECONDS, EPOCH_SHIFT_DAYS, EPOCH_SHIFT_SECONDS, days_from_civil, month_days,
};
use crate::protocol::error::{Kind, Result, ValueError};
use crate::protocol::time_zone::TimeZone;

/// Days since 1970 of a date; a time after it is left aside.
pub(super) fn date(text: &str) -> Result<i64> {
    Ok(Moment::parse(text, "date")?.days)
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64> {
    let reader = Reader { whole: text, rest: text.trim_ascii(), type_name: "time" };
    let (reader, micros) = reader.time()?;
    // A zone has no meaning for a bare time and is left aside.
    zone(&reader)?;
    Ok(micros)
}

/// Microseconds since 2000-01-01 of a local time; a zone in the text is left aside, as PostgreSQL leaves it.
pub(super) fn timestamp(text: &str) -> Result<i64> {
    Moment::parse(text, "timestamp")?.local_micros()
}

/// Microseconds since 2000-01-01 UTC; without a zone in the text, the time is local in `time_zone`.
pub(super) fn timestamp_with_zone(text: &str, time_zone: &TimeZone) -> Result<i64> {
    let moment = Moment::parse(text, "timestamp with time zone")?;
    let local = moment.local_micros()?;
    let unix_seconds = local.div_euclid(1_000_000) + EPOCH_SHIFT_SECONDS;
    let utc_seconds = moment.zone.as_ref().unwrap_or(time_zone).utc_seconds_of(unix_seconds);
    let shifted = local.checked_add((utc_seconds - unix_seconds) * 1_000_000);
    shifted.ok_or_else(|| ValueError::out_of_range("timestamp"))
}

/// What a text says: days since 1970, microseconds of the day, and a zone if it names one.
struct Moment {
    days: i64,
    micros: i64,
    zone: Option<TimeZone>,
}

impl Moment {
    fn parse(text: &str, type_name: &'static str) -> Result<Self> {
        let trimmed = text.trim_ascii();
        match trimmed.to_ascii_lowercase().as_str() {
            "epoch" => return Ok(Self { days: 0, micros: 0, zone: Some(TimeZone::default()) }),
            "infinity" | "+infinity" | "-infinity" => return Err(infinite(type_name)),
            _ => {}
        }
        let (before_christ, rest) = era(trimmed);
        let reader = Reader { whole: text, rest, type_name };
        let (mut reader, (year, month, day)) = reader.date()?;
        let year = match (before_christ, year) {
            (_, 0) => return Err(reader.field_out_of_range()),
            (true, year) => 1 - year,
            (false, year) => year,
        };
        if !(1..=12).contains(&month) || day == 0 || day > month_days(year, month) {
            return Err(reader.field_out_of_range());
        }
        let mut micros = 0;
        let separated = reader.rest.strip_prefix(['T', 't', ' ']).map(str::trim_ascii_start);
        if let Some(rest) = separated.filter(|rest| rest.starts_with(|next: char| next.is_ascii_digit())) {
            reader.rest = rest;
            (reader, micros) = reader.time()?;
        }
        Ok(Self { days: days_from_civil(year, month, day), micros, zone: zone(&reader)? })
    }

    /// Microseconds since 2000-01-01.
    fn local_micros(&self) -> Result<i64> {
        let midnight = (self.days - EPOCH_SHIFT_DAYS).checked_mul(DAY_MICROS);
        let micros = midnight.and_then(|midnight| midnight.checked_add(self.micros));
        micros.ok_or_else(|| ValueError::out_of_range("timestamp"))
    }
}

/// Takes the mark of the era off the end.
fn era(text: &str) -> (bool, &str) {
    let split = text.len().saturating_sub(2);
    match text.split_at_checked(split) {
        Some((rest, mark)) if mark.eq_ignore_ascii_case("bc") && rest.ends_with(' ') => (true, rest.trim_ascii_end()),
        Some((rest, mark)) if mark.eq_ignore_ascii_case("ad") && rest.ends_with(' ') => (false, rest.trim_ascii_end()),
        _ => (false, text),
    }
}

/// The zone that the rest of a text names, if any.
fn zone(reader: &Reader<'_>) -> Result<Option<TimeZone>> {
    let rest = reader.rest.trim_ascii();
    if rest.is_empty() {
        return Ok(None);
    }
    let Some(digits) = rest.strip_prefix(['+', '-']) else {
        let named = rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '<');
        return match rest.parse() {
            Ok(zone) if named => Ok(Some(zone)),
            Err(_) if named && rest.contains('/') => {
                Err(ValueError::new(Kind::InvalidArgument, format!("time zone \"{rest}\" not recognized")))
            }
            _ => Err(reader.invalid()),
        };
    };
    // hh, hh:mm, hh:mm:ss, or hhmm.
    let mut parts: Vec<&str> = digits.split(':').collect();
    if let [four] = parts.as_slice()
        && four.len() == 4
        && let Some((hours, minutes)) = four.split_at_checked(2)
    {
        parts = vec![hours, minutes];
    }
    let mut seconds = 0;
    for (part, (unit, limit)) in parts.iter().zip([(3_600, 15), (60, 59), (1, 59)]) {
        let valid = matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit());
        let value: i32 = part.parse().ok().filter(|_| valid).ok_or_else(|| reader.invalid())?;
        if value > limit {
            return Err(reader.field_out_of_range());
        }
        seconds += value * unit;
    }
    if parts.len() > 3 {
        return Err(reader.invalid());
    }
    TimeZone::fixed(if rest.starts_with('-') { -seconds } else { seconds }).map(Some)
}

/// A text being read: `rest` is what is left of `whole`.
struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
    type_name: &'static str,
}

impl<'a> Reader<'a> {
    fn invalid(&self) -> ValueError {
        ValueError::invalid_date_time(self.type_name, self.whole)
    }

    fn field_out_of_range(&self) -> ValueError {
        let mut error = ValueError::invalid_date_time(self.type_name, self.whole);
        error.kind = Kind::DateTimeOutOfRange;
        let quoted = error.message.split_once(": ").map_or("", |(_, quoted)| quoted);
        error.message = format!("date/time field value out of range: {quoted}");
        error
    }

    /// Up to `digits_max` digits, `digits_min` at least.
    fn digits(&mut self, digits_min: usize, digits_max: usize) -> Result<&'a str> {
        let count = self.rest.bytes().take(digits_max).take_while(u8::is_ascii_digit).count();
        match self.rest.split_at_checked(count) {
            Some((digits, rest)) if count >= digits_min => {
                self.rest = rest;
                Ok(digits)
            }
            _ => Err(self.invalid()),
        }
    }

    fn number(&mut self, digits_min: usize, digits_max: usize) -> Result<i64> {
        self.digits(digits_min, digits_max)?.parse().map_err(|_| self.invalid())
    }

    fn accept(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `YYYY-MM-DD` with a year of three to seven digits, `/` or `.` in place of the hyphen, or `YYYYMMDD`.
    fn date(mut self) -> Result<(Self, (i64, u32, u32))> {
        let year = self.digits(3, 8)?;
        let Some(separator) = ['-', '/', '.'].into_iter().find(|separator| self.rest.starts_with(*separator)) else {
            if year.len() != 8 {
                return Err(self.invalid());
            }
            let number: u32 = year.parse().map_err(|_| self.invalid())?;
            return Ok((self, (i64::from(number / 10_000), number / 100 % 100, number % 100)));
        };
        let year = year.parse().map_err(|_| self.invalid())?;
        self.accept(separator);
        let month = self.number(1, 2)? as u32;
        if !self.accept(separator) {
            return Err(self.invalid());
        }
        let day = self.number(1, 2)? as u32;
        Ok((self, (year, month, day)))
    }

    /// `hh:mm[:ss[.fraction]]` up to 24:00:00, in microseconds; further digits are rounded.
    fn time(mut self) -> Result<(Self, i64)> {
        let hours = self.number(1, 2)?;
        if !self.accept(':') {
            return Err(self.invalid());
        }
        let minutes = self.number(1, 2)?;
        let mut seconds = 0;
        let mut micros = 0;
        if self.accept(':') {
            seconds = self.number(1, 2)?;
            if self.accept('.') {
                micros = fraction_micros(self.digits(0, usize::MAX)?);
            }
        }
        let total = (hours * 3_600 + minutes * 60 + seconds) * 1_000_000 + micros;
        if minutes > 59 || seconds > 60 || total > DAY_SECONDS * 1_000_000 {
            return Err(self.field_out_of_range());
        }
        Ok((self, total))
    }
}

/// Microseconds of a fraction's digits, rounded half up.
pub(super) fn fraction_micros(digits: &str) -> i64 {
    let micros = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = micros.fold(0_i64, |value, digit| value * 10 + i64::from(digit.saturating_sub(b'0')));
    micros + i64::from(digits.as_bytes().get(6).is_some_and(|digit| *digit >= b'5'))
}
