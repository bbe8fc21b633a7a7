//! Arithmetic of the proleptic Gregorian calendar over PostgreSQL's whole range (4714 BC to 294276 AD for
//! timestamps, to 5874897 AD for dates), which is wider than that of `chrono`.

/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Seconds of a day.
pub const DAY_SECONDS: i64 = 86_400;
/// Days from 1970-01-01, Arrow's epoch, to 2000-01-01, PostgreSQL's.
pub const EPOCH_SHIFT_DAYS: i64 = 10_957;
/// The same distance in seconds.
pub const EPOCH_SHIFT_SECONDS: i64 = EPOCH_SHIFT_DAYS * DAY_SECONDS;

/// PostgreSQL's dates in days since 1970: from 4714-11-24 BC, up to before 5874898-01-01.
pub const DATE_DAYS: std::ops::Range<i64> = -2_440_588..2_145_042_906;
/// PostgreSQL's timestamps in microseconds since 2000, its own epoch: from 4714-11-24 BC, up to before 294277-01-01.
pub const TIMESTAMP_MICROS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// Year (0 is 1 BC), month and day of a day counted from 1970-01-01. For any day whose year fits a 40-bit number.
///
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// The day, counted from 1970-01-01, of a year (0 is 1 BC), month (1 to 12) and day. The inverse of
/// [`civil_from_days`], from the same source.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// True in a leap year.
pub fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// Days of a month (1 to 12).
pub fn month_days(year: i64, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse_over_the_whole_range() {
        for days in (DATE_DAYS.start..DATE_DAYS.end).step_by(9_973) {
            let (year, month, day) = civil_from_days(days);
            assert!((1..=month_days(year, month)).contains(&day));
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn the_ends_of_the_range_are_postgres_s() {
        assert_eq!(civil_from_days(DATE_DAYS.start), (-4713, 11, 24));
        assert_eq!(civil_from_days(DATE_DAYS.end), (5_874_898, 1, 1));
        assert_eq!(civil_from_days(TIMESTAMP_MICROS.end / DAY_MICROS + EPOCH_SHIFT_DAYS), (294_277, 1, 1));
        assert_eq!(civil_from_days(TIMESTAMP_MICROS.start / DAY_MICROS + EPOCH_SHIFT_DAYS), (-4713, 11, 24));
        assert_eq!(days_from_civil(2000, 1, 1), EPOCH_SHIFT_DAYS);
    }
}
