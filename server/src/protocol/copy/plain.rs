//! Dates, timestamps and numbers as they usually look, read at one go. `None` for any other spelling and for what is
//! wrong: that is for the full readers to say.

use crate::protocol::calendar::{DAY_MICROS, days_from_civil, month_days};

/// A number of at most 18 digits.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut number = 0_i64;
    for byte in digits {
        number = number * 10 + i64::from(digit(*byte)?);
    }
    Some(if negative { -number } else { number })
}

/// A finite number that isn't zero, so that nothing has overflowed.
pub(super) fn float<T: std::str::FromStr + Into<f64> + Copy>(text: &[u8]) -> Option<T> {
    if !text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')) {
        return None;
    }
    let number: T = std::str::from_utf8(text).ok()?.parse().ok()?;
    let wide: f64 = number.into();
    (wide.is_finite() && wide != 0.0).then_some(number)
}

/// `123.45` at a scale, if the digits fit without rounding.
pub(super) fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (negative, unsigned) = match text.split_first() {
        Some((b'-', unsigned)) => (true, unsigned),
        _ => (false, text),
    };
    let point = unsigned.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (unsigned.get(..at)?, unsigned.get(at + 1..)?),
        None => (unsigned, &[][..]),
    };
    let digits = whole.len() + scale;
    if whole.is_empty() || fraction.len() > scale || digits > usize::from(precision) || digits > 38 {
        return None;
    }
    let mut number = 0_i128;
    for byte in whole.iter().chain(fraction) {
        number = number * 10 + i128::from(digit(*byte)?);
    }
    for _ in fraction.len()..scale {
        number *= 10;
    }
    Some(if negative { -number } else { number })
}

pub(super) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"t" | b"true" => Some(true),
        b"f" | b"false" => Some(false),
        _ => None,
    }
}

/// `2024-02-29`, in days since 1970.
pub(super) fn date(text: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let year = i64::from(pair(y1, y2)? * 100 + pair(y3, y4)?);
    let (month, day) = (pair(m1, m2)?, pair(d1, d2)?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > month_days(year, month) {
        return None;
    }
    i32::try_from(days_from_civil(year, month, day)).ok()
}

/// `2024-02-29 12:34:56.789`, in microseconds since 1970; more than six places are for the full reader to round.
pub(super) fn timestamp(text: &[u8]) -> Option<i64> {
    let (date_text, rest) = text.split_at_checked(10)?;
    let (time, fraction) = rest.split_at_checked(9)?;
    let [b' ' | b'T', h1, h2, b':', m1, m2, b':', s1, s2] = *time else { return None };
    let (hour, minute, second) = (pair(h1, h2)?, pair(m1, m2)?, pair(s1, s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros = 0_u32;
    if let Some((point, places)) = fraction.split_first() {
        if *point != b'.' || places.is_empty() || places.len() > 6 {
            return None;
        }
        for place in 0..6 {
            micros = micros * 10 + places.get(place).map_or(Some(0), |byte| digit(*byte))?;
        }
    }
    let seconds = i64::from(hour * 3_600 + minute * 60 + second);
    Some(i64::from(date(date_text)?) * DAY_MICROS + seconds * 1_000_000 + i64::from(micros))
}

/// The same with UTC named behind it.
pub(super) fn timestamp_utc(text: &[u8]) -> Option<i64> {
    timestamp(text.strip_suffix(b"+00").or_else(|| text.strip_suffix(b"Z"))?)
}

#[inline]
fn digit(byte: u8) -> Option<u32> {
    byte.is_ascii_digit().then(|| u32::from(byte - b'0'))
}

#[inline]
fn pair(tens: u8, ones: u8) -> Option<u32> {
    Some(digit(tens)? * 10 + digit(ones)?)
}
