//! Intervals in text: PostgreSQL's own styles, ISO 8601 with designators, and SQL's year-month and day-time forms.

use crate::protocol::error::{Kind, Result, ValueError};

/// Parts of one that a number in an interval is read with.
const PARTS: i128 = 1_000_000_000_000;
const DAY_MICROS: i128 = 86_400_000_000;

/// Months, days and microseconds of an interval.
pub(super) fn parse(text: &str) -> Result<(i32, i32, i64)> {
    let mut sum = Sum::default();
    let trimmed = text.trim_ascii();
    let read = match trimmed.strip_prefix(['P', 'p']) {
        Some(rest) => sum.iso_8601(rest),
        None => sum.words(trimmed),
    };
    read.ok_or_else(|| ValueError::invalid_date_time("interval", text))?;
    sum.total().ok_or_else(|| {
        ValueError::new(Kind::DateTimeOutOfRange, "interval field value out of range")
            .with_detail("Months and days are counted in 32 bits, microseconds in 64.")
    })
}

#[derive(Default)]
struct Sum {
    months: i128,
    days: i128,
    micros: i128,
}

impl Sum {
    fn total(&self) -> Option<(i32, i32, i64)> {
        Some((self.months.try_into().ok()?, self.days.try_into().ok()?, self.micros.try_into().ok()?))
    }

    /// Adds a number (in [`PARTS`]) of a unit. A fraction goes on into the smaller units, months into days of which
    /// they have 30; but fractions of years and above end at months.
    fn add(&mut self, number: i128, unit: Unit) {
        match unit {
            Unit::Months(1) => {
                self.months += number / PARTS;
                self.add_days(number % PARTS * 30);
            }
            Unit::Months(months) => self.months += rounded(number * months),
            Unit::Days(days) => self.add_days(number * days),
            Unit::Micros(micros) => self.micros += rounded(number * micros),
        }
    }

    fn add_days(&mut self, number: i128) {
        self.days += number / PARTS;
        self.micros += rounded(number % PARTS * DAY_MICROS);
    }

    /// What follows `P`: numbers with designators, those after `T` counting time.
    fn iso_8601(&mut self, text: &str) -> Option<()> {
        let (mut rest, mut time, mut any) = (text, false, false);
        while let Some(first) = rest.chars().next() {
            if first.eq_ignore_ascii_case(&'t') && !time {
                (time, rest) = (true, rest.get(1..)?);
                continue;
            }
            let (value, after) = number(rest)?;
            let designator = after.chars().next()?.to_ascii_uppercase();
            let unit = match (time, designator) {
                (false, 'Y') => Unit::Months(12),
                (false, 'M') => Unit::Months(1),
                (false, 'W') => Unit::Days(7),
                (false, 'D') => Unit::Days(1),
                (true, 'H') => Unit::Micros(3_600_000_000),
                (true, 'M') => Unit::Micros(60_000_000),
                (true, 'S') => Unit::Micros(1_000_000),
                _ => return None,
            };
            self.add(value, unit);
            (rest, any) = (after.get(1..)?, true);
        }
        any.then_some(())
    }

    /// Numbers with units (`1 year 2 mons`), times (`-04:05:06.7`), years with months (`1-2`), `@` ahead and `ago`
    /// at the end. A bare number counts days before a time, and seconds at the end.
    fn words(&mut self, text: &str) -> Option<()> {
        let mut rest = text.strip_prefix('@').unwrap_or(text).trim_ascii();
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            if rest.eq_ignore_ascii_case("ago") && rest.len() < text.len() {
                (self.months, self.days, self.micros) = (-self.months, -self.days, -self.micros);
                return Some(());
            }
            let word_end = rest.find(|next: char| next.is_ascii_whitespace()).unwrap_or(rest.len());
            let (word, after_word) = rest.split_at_checked(word_end)?;
            if word.contains(':') {
                self.micros += clock(word)?;
                rest = after_word.trim_ascii_start();
                continue;
            }
            if let Some(months) = years_months(word) {
                self.months += months;
                rest = after_word.trim_ascii_start();
                continue;
            }
            let (value, after) = number(rest)?;
            let after = after.trim_ascii_start();
            let name_end = after.find(|next: char| !next.is_ascii_alphabetic()).unwrap_or(after.len());
            let (name, after_name) = after.split_at_checked(name_end)?;
            if name.is_empty() {
                let before_time = after.split_ascii_whitespace().next().is_some_and(|word| word.contains(':'));
                let unit = if before_time { Unit::Days(1) } else { Unit::Micros(1_000_000) };
                if !before_time && !after.is_empty() {
                    return None;
                }
                self.add(value, unit);
            } else if name.eq_ignore_ascii_case("ago") {
                self.add(value, Unit::Micros(1_000_000));
                rest = after;
                continue;
            } else {
                self.add(value, Unit::named(name)?);
            }
            rest = after_name.trim_ascii_start();
        }
        Some(())
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Months(i128),
    Days(i128),
    Micros(i128),
}

impl Unit {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => Self::Micros(1),
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => Self::Micros(1_000),
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Micros(1_000_000),
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Micros(60_000_000),
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Micros(3_600_000_000),
            "d" | "day" | "days" => Self::Days(1),
            "w" | "week" | "weeks" => Self::Days(7),
            "mon" | "mons" | "month" | "months" => Self::Months(1),
            "y" | "yr" | "yrs" | "year" | "years" => Self::Months(12),
            "dec" | "decs" | "decade" | "decades" => Self::Months(120),
            "c" | "cent" | "century" | "centuries" => Self::Months(1_200),
            "mil" | "mils" | "millennium" | "millennia" => Self::Months(12_000),
            _ => return None,
        })
    }
}

/// A number with sign and fraction, in [`PARTS`], and what follows it.
fn number(text: &str) -> Option<(i128, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|next: char| !next.is_ascii_digit() && next != '.').unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at_checked(end)?;
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if integer.is_empty() && fraction.is_empty() || integer.len() > 19 || fraction.contains('.') {
        return None;
    }
    let integer: i128 = if integer.is_empty() { 0 } else { integer.parse().ok()? };
    let parts = fraction.bytes().chain(std::iter::repeat(b'0')).take(12);
    let parts = parts.fold(0_i128, |value, digit| value * 10 + i128::from(digit.saturating_sub(b'0')));
    let value = integer * PARTS + parts;
    Some((if text.starts_with('-') { -value } else { value }, rest))
}

/// Microseconds of `[+-]h:mm[:ss[.fraction]]`, or of `mm:ss.fraction`.
fn clock(word: &str) -> Option<i128> {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let parts: Vec<&str> = unsigned.split(':').collect();
    let whole = |part: &str, digits_max: usize, limit: i128| {
        let valid = (1..=digits_max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i128>().ok().filter(|value| valid && *value <= limit)
    };
    let (hours, minutes, seconds) = match parts.as_slice() {
        [minutes, seconds] if seconds.contains('.') => ("0", *minutes, *seconds),
        [hours, minutes] => (*hours, *minutes, "0"),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    let (seconds, rest) = number(seconds).filter(|(seconds, _)| (0..=60 * PARTS).contains(seconds))?;
    if !rest.is_empty() {
        return None;
    }
    let minutes = whole(hours, 12, i128::MAX)? * 60 + whole(minutes, 2, 59)?;
    let micros = minutes * 60_000_000 + rounded(seconds * 1_000_000);
    Some(if word.starts_with('-') { -micros } else { micros })
}

/// Months of `[+-]years-months`.
fn years_months(word: &str) -> Option<i128> {
    let (years, months) = word.strip_prefix(['+', '-']).unwrap_or(word).split_once('-')?;
    let digits = |part: &str| !part.is_empty() && part.len() <= 10 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(years) || !digits(months) {
        return None;
    }
    let months = months.parse::<i128>().ok().filter(|months| *months < 12)?;
    let total = years.parse::<i128>().ok()? * 12 + months;
    Some(if word.starts_with('-') { -total } else { total })
}

/// A count of [`PARTS`] as a whole number, rounded half away from zero.
fn rounded(parts: i128) -> i128 {
    (parts + parts.signum() * PARTS / 2) / PARTS
}
