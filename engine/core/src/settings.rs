//! Settings of a session: names, defaults, checks. Unknown names are an error; known ones that change nothing here are
//! listed, so that a client which sets them on connecting isn't refused.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// How a setting behaves when it is SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Any,
    /// One of these words, compared without regard to case.
    OneOf(&'static [&'static str]),
    Bool,
    Integer {
        least: i64,
        most: i64,
    },
    /// Milliseconds, or a number with a unit (`us`, `ms`, `s`, `min`, `h`, `d`).
    Duration,
    TimeZone,
    /// Any spelling of UTF-8: only its letters and digits count.
    Utf8,
    ReadOnly,
}

struct Definition {
    name: &'static str,
    default: &'static str,
    rule: Rule,
    /// Reported to the client by ParameterStatus when it changes.
    reported: bool,
    description: &'static str,
}

const fn setting(name: &'static str, default: &'static str, rule: Rule, description: &'static str) -> Definition {
    Definition { name, default, rule, reported: false, description }
}

const fn reported(name: &'static str, default: &'static str, rule: Rule, description: &'static str) -> Definition {
    Definition { name, default, rule, reported: true, description }
}

/// What clients are told of the server's version; SQLAlchemy and others read the number before the first blank.
pub const SERVER_VERSION: &str = concat!("16.6 (Alluvia ", env!("CARGO_PKG_VERSION"), ")");

const ISOLATION: Rule = Rule::OneOf(&["read uncommitted", "read committed", "repeatable read", "serializable"]);

/// Every setting, in the order of `SHOW ALL`.
const SETTINGS: &[Definition] = &[
    reported("application_name", "", Rule::Any, "name of the client's application"),
    setting("bytea_output", "hex", Rule::OneOf(&["hex", "escape"]), "text form of bytea"),
    reported("client_encoding", "UTF8", Rule::Utf8, "always UTF-8 on the wire"),
    setting("client_min_messages", "notice", Rule::Any, "accepted; notices are always sent"),
    reported("DateStyle", "ISO, MDY", Rule::Any, "dates are always written in ISO form"),
    reported("default_transaction_read_only", "off", Rule::Bool, "new transactions only read"),
    setting("default_transaction_isolation", "read committed", ISOLATION, "each statement reads one snapshot"),
    setting(
        "extra_float_digits",
        "1",
        Rule::Integer { least: -15, most: 3 },
        "digits of floats in text form; 1 and more are shortest-exact",
    ),
    setting("idle_in_transaction_session_timeout", "0", Rule::Duration, "accepted"),
    reported("integer_datetimes", "on", Rule::ReadOnly, "always on"),
    reported(
        "IntervalStyle",
        "postgres",
        Rule::OneOf(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "text form of intervals",
    ),
    reported("in_hot_standby", "off", Rule::ReadOnly, "never a standby"),
    reported("is_superuser", "on", Rule::ReadOnly, "whether the session's user is an administrator"),
    setting("lock_timeout", "0", Rule::Duration, "accepted; there are no locks to wait for"),
    setting("max_identifier_length", "63", Rule::ReadOnly, "as clients expect it"),
    setting("row_security", "on", Rule::Bool, "accepted"),
    setting("search_path", "\"$user\", public", Rule::Any, "schemas in which bare names are looked up"),
    reported("server_encoding", "UTF8", Rule::ReadOnly, "always UTF-8"),
    reported("server_version", SERVER_VERSION, Rule::ReadOnly, "version that clients see"),
    setting("server_version_num", "160006", Rule::ReadOnly, "the same as a number"),
    reported("session_authorization", "", Rule::ReadOnly, "the session's user"),
    reported("standard_conforming_strings", "on", Rule::OneOf(&["on"]), "always on"),
    setting("statement_timeout", "0", Rule::Duration, "longest time a statement may run; 0 means no limit"),
    setting("synchronous_commit", "on", Rule::Any, "accepted; every commit is durable"),
    setting(
        "target_partitions",
        "0",
        Rule::Integer { least: 0, most: 1024 },
        "parallel streams of a query; 0 means as many as cores",
    ),
    setting("batch_size", "8192", Rule::Integer { least: 1, most: 1_048_576 }, "rows in a record batch"),
    reported("TimeZone", "UTC", Rule::TimeZone, "time zone in which timestamps with zone are shown"),
    setting("transaction_isolation", "read committed", ISOLATION, "each statement reads one snapshot"),
    setting("transaction_read_only", "off", Rule::Bool, "the current transaction only reads"),
    setting("vacuum_retention_check", "on", Rule::Bool, "VACUUM refuses retentions shorter than the table's own"),
];

/// The values that a session has set, over the defaults.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: BTreeMap<&'static str, String>,
    /// Names with a dot belong to applications; they may be anything.
    custom: BTreeMap<String, String>,
    /// What SET LOCAL has covered in the open transaction block, by name; `None` is the default.
    covered: BTreeMap<String, Option<String>>,
    unreported: Vec<&'static str>,
}

impl Settings {
    /// The value in force; `None` when there is no such setting.
    pub fn value(&self, name: &str) -> Option<String> {
        let Some(definition) = definition(name) else { return self.custom.get(&name.to_lowercase()).cloned() };
        Some(self.values.get(definition.name).cloned().unwrap_or_else(|| definition.default.to_string()))
    }

    /// A setting's name as it is written in `SHOW ALL`.
    pub fn spelling(name: &str) -> String {
        definition(name).map_or_else(|| name.to_lowercase(), |definition| definition.name.to_string())
    }

    /// Checks and keeps a value. `SET x TO DEFAULT` is `reset`.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        self.covered.remove(&name.to_lowercase());
        self.assign(name, value)
    }

    /// As `set`, until the open transaction block ends.
    pub fn set_local(&mut self, name: &str, value: &str) -> Result<()> {
        let before = match definition(name) {
            Some(definition) => self.values.get(definition.name).cloned(),
            None => self.custom.get(&name.to_lowercase()).cloned(),
        };
        self.assign(name, value)?;
        self.covered.entry(name.to_lowercase()).or_insert(before);
        Ok(())
    }

    /// The transaction block is over: what SET LOCAL covered comes back.
    pub fn end_local(&mut self) {
        for (name, before) in std::mem::take(&mut self.covered) {
            // Both were checked when they were set.
            let _ = match before {
                Some(value) => self.assign(&name, &value),
                None => self.reset(&name),
            };
        }
    }

    /// The transaction block is rolled back: every setting is as it was when it began.
    pub fn restore(&mut self, earlier: Settings) {
        let before = self.reported();
        let unreported = std::mem::take(&mut self.unreported);
        *self = Settings { unreported, covered: BTreeMap::new(), ..earlier };
        for (name, value) in before {
            if let Some(definition) = definition(&name).filter(|_| self.value(&name).as_ref() != Some(&value)) {
                self.unreported.push(definition.name);
            }
        }
    }

    fn assign(&mut self, name: &str, value: &str) -> Result<()> {
        if definition(name).is_none() && is_custom(name) {
            self.custom.insert(name.to_lowercase(), value.to_string());
            return Ok(());
        }
        let definition = known(name)?;
        let value = checked(definition, value)?;
        self.put(definition, value);
        Ok(())
    }

    /// For values that only the server may give, such as the session's user.
    pub fn force(&mut self, name: &str, value: &str) {
        if let Some(definition) = definition(name) {
            self.put(definition, value.to_string());
        }
    }

    pub fn reset(&mut self, name: &str) -> Result<()> {
        if definition(name).is_none() && is_custom(name) {
            self.custom.remove(&name.to_lowercase());
            return Ok(());
        }
        let definition = known(name)?;
        if definition.rule != Rule::ReadOnly && self.values.remove(definition.name).is_some() && definition.reported {
            self.unreported.push(definition.name);
        }
        Ok(())
    }

    pub fn reset_all(&mut self) {
        self.custom.clear();
        for definition in SETTINGS {
            // A known name can't fail.
            let _ = self.reset(definition.name);
        }
    }

    /// Name, value, description of each setting.
    pub fn all(&self) -> Vec<(String, String, String)> {
        SETTINGS
            .iter()
            .map(|definition| {
                let value = self.values.get(definition.name).map_or(definition.default, String::as_str);
                (definition.name.to_string(), value.to_string(), definition.description.to_string())
            })
            .collect()
    }

    /// Reported settings with their values: all of them at the start of a session.
    pub fn reported(&self) -> Vec<(String, String)> {
        SETTINGS
            .iter()
            .filter(|definition| definition.reported)
            .filter_map(|definition| Some((definition.name.to_string(), self.value(definition.name)?)))
            .collect()
    }

    /// Reported settings that changed since last asked.
    pub fn take_changed(&mut self) -> Vec<(String, String)> {
        let names = std::mem::take(&mut self.unreported);
        names.into_iter().filter_map(|name| Some((name.to_string(), self.value(name)?))).collect()
    }

    /// `None` means no limit.
    pub fn statement_timeout(&self) -> Option<Duration> {
        let milliseconds = self.value("statement_timeout")?.parse().ok()?;
        (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
    }

    fn put(&mut self, definition: &'static Definition, value: String) {
        if definition.reported && self.value(definition.name).as_ref() != Some(&value) {
            self.unreported.push(definition.name);
        }
        self.values.insert(definition.name, value);
    }
}

fn definition(name: &str) -> Option<&'static Definition> {
    let name = if name.eq_ignore_ascii_case("time zone") { "TimeZone" } else { name };
    SETTINGS.iter().find(|definition| definition.name.eq_ignore_ascii_case(name))
}

/// `application.setting`, in letters, digits, `_` and `$`.
fn is_custom(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let word = |part: &&str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
    };
    parts.len() > 1 && parts.iter().all(word)
}

fn known(name: &str) -> Result<&'static Definition> {
    definition(name).ok_or_else(|| {
        Error::new(Kind::UndefinedObject, format!("unrecognized configuration parameter \"{name}\""))
            .with_hint("SHOW ALL lists the parameters there are.")
    })
}

fn checked(definition: &Definition, value: &str) -> Result<String> {
    let invalid = || {
        Error::new(
            Kind::InvalidParameterValue,
            format!("invalid value for parameter \"{}\": \"{value}\"", definition.name),
        )
    };
    match definition.rule {
        Rule::Any => Ok(value.to_string()),
        Rule::OneOf(words) => words
            .iter()
            .find(|word| word.eq_ignore_ascii_case(value))
            .map(|word| word.to_string())
            .ok_or_else(|| invalid().with_hint(format!("Available values: {}.", words.join(", ")))),
        Rule::Bool => boolean(value).map(|on| if on { "on" } else { "off" }.to_string()).ok_or_else(invalid),
        Rule::Integer { least, most } => match value.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number.to_string()),
            _ => Err(invalid().with_hint(format!("The value must lie between {least} and {most}."))),
        },
        Rule::Duration => milliseconds(value)
            .map(|milliseconds| milliseconds.to_string())
            .ok_or_else(|| invalid().with_hint("Valid units are \"us\", \"ms\", \"s\", \"min\", \"h\" and \"d\".")),
        Rule::TimeZone => time_zone(value).ok_or_else(invalid),
        Rule::Utf8 => {
            let letters: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            match letters.to_ascii_lowercase().as_str() {
                "utf8" | "unicode" => Ok("UTF8".to_string()),
                _ => Err(invalid().with_hint("Text is always UTF-8 on the wire.")),
            }
        }
        Rule::ReadOnly => {
            Err(Error::new(Kind::InvalidParameterValue, format!("parameter \"{}\" cannot be changed", definition.name)))
        }
    }
}

fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Some(true),
        "off" | "false" | "no" | "0" | "f" | "n" => Some(false),
        _ => None,
    }
}

fn milliseconds(value: &str) -> Option<u64> {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let factor = match unit.trim() {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let milliseconds = number * factor;
    (milliseconds <= i32::MAX as f64).then_some(milliseconds.round() as u64)
}

/// IANA names as they are spelled there, and a few words. Bare offsets are refused: PostgreSQL reads `+05:30` as west of
/// Greenwich, nearly everybody else as east.
fn time_zone(value: &str) -> Option<String> {
    if ["utc", "gmt", "z", "default", "local"].contains(&value.to_ascii_lowercase().as_str()) {
        return Some("UTC".to_string());
    }
    chrono_tz::TZ_VARIANTS
        .iter()
        .find(|zone| zone.name().eq_ignore_ascii_case(value))
        .map(|zone| zone.name().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_and_reported_once() {
        let mut settings = Settings::default();
        settings.set("timezone", "europe/berlin").unwrap();
        assert_eq!(settings.take_changed(), vec![("TimeZone".into(), "Europe/Berlin".into())]);
        assert_eq!(settings.take_changed(), vec![]);
        assert_eq!(settings.set("TIMEZONE", "Mars/Base").unwrap_err().kind, Kind::InvalidParameterValue);
        assert_eq!(settings.set("no_such_thing", "1").unwrap_err().kind, Kind::UndefinedObject);
        assert_eq!(settings.set("server_version", "9").unwrap_err().kind, Kind::InvalidParameterValue);
    }

    #[test]
    fn durations_take_units() {
        let mut settings = Settings::default();
        assert_eq!(settings.statement_timeout(), None);
        settings.set("statement_timeout", "2s").unwrap();
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(2)));
        settings.set("statement_timeout", "250").unwrap();
        assert_eq!(settings.statement_timeout(), Some(Duration::from_millis(250)));
        assert!(settings.set("statement_timeout", "3 fortnights").is_err());
    }
}
