//! The table properties of the format that this engine honours, and the values that they take. Others change what a
//! writer must do, and are refused.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// What a property's value looks like.
#[derive(Clone, Copy)]
enum Shape {
    Boolean,
    /// A whole number, this at least.
    Whole(i64),
    /// `interval 7 days`
    Interval,
    /// A number of bytes, with or without a unit.
    Bytes,
    OneOf(&'static [&'static str]),
    Text,
}

const PROPERTIES: &[(&str, Shape)] = &[
    ("delta.appendOnly", Shape::Boolean),
    ("delta.autoOptimize.autoCompact", Shape::OneOf(&["true", "false", "auto", "legacy"])),
    ("delta.autoOptimize.optimizeWrite", Shape::Boolean),
    ("delta.checkpointInterval", Shape::Whole(1)),
    ("delta.dataSkippingNumIndexedCols", Shape::Whole(-1)),
    ("delta.dataSkippingStatsColumns", Shape::Text),
    ("delta.deletedFileRetentionDuration", Shape::Interval),
    ("delta.enableChangeDataFeed", Shape::Boolean),
    ("delta.enableExpiredLogCleanup", Shape::Boolean),
    ("delta.isolationLevel", Shape::OneOf(&["Serializable", "WriteSerializable"])),
    ("delta.logRetentionDuration", Shape::Interval),
    ("delta.targetFileSize", Shape::Bytes),
];

/// Units of an interval, singular; the format has no months and years, which differ in length.
const INTERVAL_UNITS: &[&str] =
    &["week", "day", "hour", "minute", "second", "millisecond", "microsecond", "nanosecond"];
const BYTE_UNITS: &[&str] = &["", "b", "k", "kb", "m", "mb", "g", "gb"];

/// Checks properties that a statement sets. Keys outside of `delta.` are the user's own.
///
/// # Errors
/// [`Error::UnsupportedFeature`] of a property that this engine doesn't honour; [`Error::InvalidDefinition`] of a value.
pub(crate) fn check(properties: &BTreeMap<String, String>) -> Result<()> {
    for (key, value) in properties.iter().filter(|(key, _)| key.starts_with("delta.")) {
        let Some((_, shape)) = PROPERTIES.iter().find(|(known, _)| known == key) else {
            return Err(Error::UnsupportedFeature { name: format!("table property {key}") });
        };
        if let Some(expected) = expected(*shape, value.trim()) {
            let message = format!("invalid value \"{value}\" of table property {key}: it takes {expected}");
            return Err(Error::InvalidDefinition { message });
        }
    }
    Ok(())
}

/// What the value should have been, when it isn't.
fn expected(shape: Shape, value: &str) -> Option<String> {
    let (right, expected) = match shape {
        Shape::Boolean => (["true", "false"].contains(&value), "true or false".to_owned()),
        Shape::Whole(least) => {
            (value.parse::<i64>().is_ok_and(|number| number >= least), format!("a whole number from {least}"))
        }
        Shape::Interval => (is_interval(value), "an interval such as 'interval 7 days'".to_owned()),
        Shape::Bytes => (is_bytes(value), "a number of bytes such as 104857600 or 100mb".to_owned()),
        Shape::OneOf(values) => (values.contains(&value), values.join(" or ")),
        Shape::Text => (true, String::new()),
    };
    (!right).then_some(expected)
}

fn is_interval(value: &str) -> bool {
    let words: Vec<String> = value.split_whitespace().map(str::to_lowercase).collect();
    let words = words.iter().map(String::as_str).collect::<Vec<_>>();
    let words = words.strip_prefix(&["interval"]).unwrap_or(&words);
    let is_part = |part: &[&str]| match part {
        [count, unit] => {
            count.parse::<u64>().is_ok() && INTERVAL_UNITS.contains(&unit.strip_suffix('s').unwrap_or(unit))
        }
        _ => false,
    };
    !words.is_empty() && words.chunks(2).all(is_part)
}

fn is_bytes(value: &str) -> bool {
    let digits = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let unit = value.strip_prefix(digits).unwrap_or_default().trim().to_lowercase();
    digits.parse::<u64>().is_ok_and(|bytes| bytes > 0) && BYTE_UNITS.contains(&unit.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        let wrong = |key: &str, value: &str| check(&BTreeMap::from([(key.to_owned(), value.to_owned())])).is_err();
        for (key, value) in [
            ("delta.appendOnly", "true"),
            ("delta.checkpointInterval", "10"),
            ("delta.dataSkippingNumIndexedCols", "-1"),
            ("delta.deletedFileRetentionDuration", "interval 1 week"),
            ("delta.logRetentionDuration", "interval 1 day 12 hours"),
            ("delta.targetFileSize", "128mb"),
            ("mine", "anything"),
        ] {
            assert!(!wrong(key, value), "{key} {value}");
        }
        for (key, value) in [
            ("delta.appendOnly", "yes"),
            ("delta.checkpointInterval", "0"),
            ("delta.deletedFileRetentionDuration", "interval 1 month"),
            ("delta.logRetentionDuration", "interval"),
            ("delta.targetFileSize", "mb"),
            ("delta.isolationLevel", "ReadCommitted"),
            ("delta.columnMapping.mode", "name"),
        ] {
            assert!(wrong(key, value), "{key} {value}");
        }
    }
}
