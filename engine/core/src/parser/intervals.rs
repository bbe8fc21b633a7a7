//! `INTERVAL '1 day 04:05:06'`: the clock form inside an interval's text, which the planner's reader doesn't know,
//! becomes words.

/// The text with a clock time at its end spelled out; `None` when there is none, or it isn't one.
pub(super) fn spelled_out(text: &str) -> Option<String> {
    let (before, clock) = text.trim_end().rsplit_once(char::is_whitespace).unwrap_or(("", text.trim_end()));
    let (sign, clock) = match clock.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", clock.strip_prefix('+').unwrap_or(clock)),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] => (*hours, *minutes, "0"),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    let whole = |part: &str| !part.is_empty() && part.chars().all(|digit| digit.is_ascii_digit());
    let (seconds_whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    if ![hours, minutes, seconds_whole, fraction].into_iter().all(whole) {
        return None;
    }
    Some(
        format!("{before} {sign}{hours} hours {sign}{minutes} minutes {sign}{seconds} seconds")
            .trim_start()
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::spelled_out;

    #[test]
    fn a_clock_becomes_words() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(spelled_out(text).as_deref(), expected, "{text}");
        check("1 day 04:05:06", Some("1 day 04 hours 05 minutes 06 seconds"));
        check("-00:30", Some("-00 hours -30 minutes -0 seconds"));
        check("2 mons 1:02:03.5", Some("2 mons 1 hours 02 minutes 03.5 seconds"));
        check("1 day", None);
        check("a:b", None);
    }
}
