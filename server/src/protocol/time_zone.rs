//! The session's time zone: parsing what `SET TimeZone` accepts, and the offset at an instant or a local time.

use std::str::FromStr;

use chrono::{DateTime, Offset, TimeZone as _};

use super::calendar::{DAY_SECONDS, civil_from_days, days_from_civil, is_leap};
use super::error::{Kind, Result, ValueError};

/// A time zone, named or of a fixed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone {
    name: String,
    rule: Rule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Seconds east of UTC.
    Fixed(i32),
    Named(chrono_tz::Tz),
}

/// Years from which the table of transitions no longer tells the whole truth: later years borrow the offsets of a
/// year with the same calendar among the 28 years before.
const TABLE_YEAR_MAX: i64 = 2090;
const CALENDAR_CYCLE_YEARS: i64 = 28;

impl Default for TimeZone {
    fn default() -> Self {
        Self { name: "UTC".to_owned(), rule: Rule::Fixed(0) }
    }
}

impl TimeZone {
    /// The name as `SHOW TimeZone` answers it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A zone of fixed offset in seconds east of UTC, named in PostgreSQL's way (`<+02>-02`).
    pub fn fixed(offset_seconds: i32) -> Result<Self> {
        if offset_seconds.unsigned_abs() > 168 * 3_600 {
            return Err(unknown_zone(&offset_seconds.to_string()));
        }
        let name = format!("<{}>{}", iso_offset(offset_seconds), iso_offset(-offset_seconds));
        Ok(Self { name, rule: Rule::Fixed(offset_seconds) })
    }

    /// Seconds east of UTC in force at an instant given in seconds since 1970 UTC.
    pub fn offset_seconds_at(&self, unix_seconds: i64) -> i32 {
        let zone = match self.rule {
            Rule::Fixed(offset_seconds) => return offset_seconds,
            Rule::Named(zone) => zone,
        };
        let (year, _, _) = civil_from_days(unix_seconds.div_euclid(DAY_SECONDS));
        if year < TABLE_YEAR_MAX {
            return table_offset_seconds(zone, unix_seconds);
        }
        let half_year = |month| table_offset_seconds(zone, days_from_civil(TABLE_YEAR_MAX - 1, month, 1) * DAY_SECONDS);
        // Some zones leave daylight saving before the table ends (Morocco in 2087): the last year counts for them.
        let (winter, summer) = (half_year(1), half_year(7));
        if winter == summer { winter } else { table_offset_seconds(zone, twin_instant(unix_seconds, year)) }
    }

    /// Seconds since 1970 UTC of a local time given as if it were UTC. A local time that a forward change skips is
    /// read with the offset before the change, one that a backward change repeats with the offset after it: so does
    /// PostgreSQL (`DetermineTimeZoneOffset`).
    pub fn utc_seconds_of(&self, local_seconds: i64) -> i64 {
        let before = i64::from(self.offset_seconds_at(local_seconds.saturating_sub(DAY_SECONDS)));
        let after = i64::from(self.offset_seconds_at(local_seconds.saturating_add(DAY_SECONDS)));
        let (with_before, with_after) = (local_seconds.saturating_sub(before), local_seconds.saturating_sub(after));
        let after_holds = i64::from(self.offset_seconds_at(with_after)) == after;
        if after_holds { with_after } else { with_before }
    }
}

impl FromStr for TimeZone {
    type Err = ValueError;

    /// Reads a zone's name in any case (`Europe/Berlin`), hours east of UTC (`-7`, `5.5`), or a POSIX zone without
    /// daylight saving (`UTC+3`, `<+02>-02`), whose offset counts west of UTC. As in PostgreSQL.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if ["utc", "z", "zulu", "etc/utc", "gmt"].iter().any(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(if text.eq_ignore_ascii_case("gmt") {
                Self { name: "GMT".to_owned(), rule: Rule::Fixed(0) }
            } else {
                Self::default()
            });
        }
        if let Ok(hours) = text.parse::<f64>()
            && hours.abs() <= 168.0
            && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte))
        {
            return Self::fixed((hours * 3_600.0).round() as i32);
        }
        if let Some(zone) = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text)) {
            return Ok(Self { name: zone.name().to_owned(), rule: Rule::Named(*zone) });
        }
        let offset_seconds = posix_offset_seconds(text).ok_or_else(|| unknown_zone(text))?;
        Ok(Self { name: text.to_owned(), rule: Rule::Fixed(offset_seconds) })
    }
}

/// The offset that the table of transitions has for an instant.
fn table_offset_seconds(zone: chrono_tz::Tz, unix_seconds: i64) -> i32 {
    let instant = DateTime::from_timestamp(unix_seconds, 0).unwrap_or(DateTime::<chrono::Utc>::MIN_UTC);
    zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()
}

/// The same date of a year inside the table with the same calendar, for an instant of a year after its end.
fn twin_instant(unix_seconds: i64, year: i64) -> i64 {
    let calendar = |year: i64| (is_leap(year), days_from_civil(year, 1, 1).rem_euclid(7));
    let twin = (TABLE_YEAR_MAX - CALENDAR_CYCLE_YEARS..TABLE_YEAR_MAX).find(|twin| calendar(*twin) == calendar(year));
    let days = days_from_civil(year, 1, 1) - days_from_civil(twin.unwrap_or(TABLE_YEAR_MAX - 1), 1, 1);
    unix_seconds - days * DAY_SECONDS
}

/// `[letters or <anything>][+-]hours[:minutes[:seconds]]`, in seconds east of UTC.
fn posix_offset_seconds(text: &str) -> Option<i32> {
    let offset = match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?.1,
        None => text.trim_start_matches(|character: char| character.is_ascii_alphabetic()),
    };
    let (sign, digits) = match offset.strip_prefix('-') {
        Some(digits) => (1, digits),
        None => (-1, offset.strip_prefix('+').unwrap_or(offset)),
    };
    let mut parts = digits.split(':');
    let mut part = |limit: i32| match parts.next() {
        None => Some(0),
        Some(digits) if !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse::<i32>().ok().filter(|value| *value <= limit)
        }
        Some(_) => None,
    };
    let seconds = part(167)? * 3_600 + part(59)? * 60 + part(59)?;
    parts.next().is_none().then_some(sign * seconds)
}

/// `+02`, `-03:30`, as PostgreSQL names zones of fixed offset.
fn iso_offset(offset_seconds: i32) -> String {
    let (sign, seconds) = (if offset_seconds < 0 { '-' } else { '+' }, offset_seconds.unsigned_abs());
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn unknown_zone(text: &str) -> ValueError {
    ValueError::new(Kind::InvalidArgument, format!("invalid value for parameter \"TimeZone\": \"{text}\""))
        .with_hint("Name a zone such as Europe/Berlin, or give the hours east of UTC.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(zone: &str, year: i64, month: u32, day: u32) -> i32 {
        zone.parse::<TimeZone>().unwrap().offset_seconds_at(days_from_civil(year, month, day) * DAY_SECONDS + 43_200)
    }

    #[test]
    fn offsets_follow_the_rules_in_every_century() {
        assert_eq!(offset("europe/berlin", 2024, 7, 1), 7_200);
        assert_eq!(offset("Europe/Berlin", 2024, 1, 1), 3_600);
        assert_eq!(offset("Europe/Berlin", 2300, 7, 1), 7_200);
        assert_eq!(offset("Europe/Berlin", 290_000, 7, 1), 7_200);
        assert_eq!(offset("Africa/Casablanca", 2150, 5, 1), 3_600);
        assert_eq!(offset("Australia/Lord_Howe", 2456, 1, 1), 39_600);
        assert_eq!(offset("Europe/Berlin", -4_000, 7, 1), 3_208);
        assert_eq!(offset("America/New_York", 2099, 1, 1), -18_000);
        assert_eq!(offset("UTC", -4_713, 12, 1), 0);
    }

    #[test]
    fn fixed_zones_count_as_postgres_counts() {
        assert_eq!(offset("-7", 2024, 1, 1), -25_200);
        assert_eq!(offset("5.5", 2024, 1, 1), 19_800);
        assert_eq!(offset("+05:30", 2024, 1, 1), -19_800);
        assert_eq!(offset("<+02>-02", 2024, 1, 1), 7_200);
        assert_eq!(offset("UTC+3", 2024, 1, 1), -10_800);
        assert_eq!("-7".parse::<TimeZone>().unwrap().name(), "<-07>+07");
        for wrong in ["Mars/Base", "", "+", "1:2:3:4", "999", "<x", "+99:99", "nan", "1e2"] {
            assert_eq!(wrong.parse::<TimeZone>().unwrap_err().kind, Kind::InvalidArgument, "{wrong}");
        }
    }

    #[test]
    fn local_times_in_a_gap_or_an_overlap_are_read_as_postgres_reads_them() {
        let zone: TimeZone = "America/New_York".parse().unwrap();
        let local = |month, day, seconds: i64| days_from_civil(2024, month, day) * DAY_SECONDS + seconds;
        let offset = |local: i64| local - zone.utc_seconds_of(local);
        assert_eq!(offset(local(3, 10, 9_000)), -18_000);
        assert_eq!(offset(local(3, 10, 10_800)), -14_400);
        assert_eq!(offset(local(11, 3, 5_400)), -18_000);
        assert_eq!(offset(local(11, 3, 3_599)), -14_400);
        assert_eq!(offset(local(7, 1, 0)), -14_400);
    }
}
