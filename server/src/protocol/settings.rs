//! Session settings that decide how values are written.

use super::encode::{ByteaOutput, EncodeOptions, IntervalStyle};
use super::error::Result;

/// Options from settings as `SHOW` answers them. What is unset or unknown here keeps its default; a time zone that the
/// session took, but can't be read, is an error.
pub fn encode_options(setting: impl Fn(&str) -> Option<String>) -> Result<EncodeOptions> {
    let mut options = EncodeOptions::default();
    if let Some(name) = setting("TimeZone") {
        options.time_zone = name.parse()?;
    }
    if let Some(digits) = setting("extra_float_digits").and_then(|digits| digits.parse().ok()) {
        options.extra_float_digits = digits;
    }
    if setting("bytea_output").is_some_and(|form| form.eq_ignore_ascii_case("escape")) {
        options.bytea_output = ByteaOutput::Escape;
    }
    options.interval_style = match setting("IntervalStyle").map(|style| style.to_ascii_lowercase()).as_deref() {
        Some("postgres_verbose") => IntervalStyle::PostgresVerbose,
        Some("sql_standard") => IntervalStyle::SqlStandard,
        Some("iso_8601") => IntervalStyle::Iso8601,
        _ => IntervalStyle::Postgres,
    };
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_options() {
        let options = encode_options(|name| match name {
            "TimeZone" => Some("Europe/Berlin".to_string()),
            "bytea_output" => Some("escape".to_string()),
            "extra_float_digits" => Some("0".to_string()),
            _ => None,
        })
        .unwrap();
        assert_eq!(options.time_zone.name(), "Europe/Berlin");
        assert_eq!(options.bytea_output, ByteaOutput::Escape);
        assert_eq!((options.extra_float_digits, options.interval_style), (0, IntervalStyle::Postgres));
        assert!(encode_options(|_| Some("Mars/Base".to_string())).is_err());
    }
}
