//! The protocol that a table's new definition needs: raised where it must be, never lowered.
//!
//! Source: the table of versions and features in the Delta protocol.

use arrow::datatypes::DataType;
use deltalake::kernel::Protocol;
use serde_json::{Value, json};

use super::internal;
use crate::error::{Error, Result};

/// The first writer version that lists its features by name.
const FEATURES_FROM_WRITER: i64 = 7;
/// The newest writer version before identity columns and the like, which this engine doesn't write.
const LEGACY_WRITER_MAX: i64 = 4;

/// What a definition uses beyond plain columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub invariants: bool,
    pub checks: bool,
    pub change_feed: bool,
    pub timestamps_without_zone: bool,
}

impl Needs {
    fn writer_version(self) -> i64 {
        match self {
            Needs { timestamps_without_zone: true, .. } => FEATURES_FROM_WRITER,
            Needs { change_feed: true, .. } => 4,
            Needs { checks: true, .. } => 3,
            _ => 2,
        }
    }

    fn features(self) -> Vec<&'static str> {
        let pairs = [
            (self.invariants, "invariants"),
            (self.checks, "checkConstraints"),
            (self.change_feed, "changeDataFeed"),
            (self.timestamps_without_zone, "timestampNtz"),
        ];
        pairs.into_iter().filter_map(|(needed, name)| needed.then_some(name)).collect()
    }
}

/// The protocol after `needs`; `None` when the present one does.
pub(super) fn raised(protocol: &Protocol, needs: Needs) -> Result<Option<Protocol>> {
    let mut value = serde_json::to_value(protocol).map_err(internal)?;
    let before = value.clone();
    let version = |value: &Value, key: &str| value.get(key).and_then(Value::as_i64).unwrap_or(1);
    let (reader, writer) = (version(&value, "minReaderVersion"), version(&value, "minWriterVersion"));
    if writer >= FEATURES_FROM_WRITER {
        add_features(&mut value, "writerFeatures", &needs.features());
    } else if needs.writer_version() < FEATURES_FROM_WRITER {
        value["minWriterVersion"] = json!(writer.max(needs.writer_version()));
    } else {
        if writer > LEGACY_WRITER_MAX {
            let name = format!("a timestamp without time zone in a table of writer version {writer}");
            return Err(Error::UnsupportedFeature { name });
        }
        value["minWriterVersion"] = json!(FEATURES_FROM_WRITER);
        // What the old version stood for is named now.
        let implied = [(2, "appendOnly"), (2, "invariants"), (3, "checkConstraints"), (4, "changeDataFeed")];
        let implied = implied.into_iter().chain([(4, "generatedColumns")]);
        let implied: Vec<&str> = implied.filter(|(from, _)| writer >= *from).map(|(_, name)| name).collect();
        add_features(&mut value, "writerFeatures", &implied);
        add_features(&mut value, "writerFeatures", &needs.features());
    }
    if needs.timestamps_without_zone {
        value["minReaderVersion"] = json!(reader.max(3));
        add_features(&mut value, "readerFeatures", &["timestampNtz"]);
    }
    if value == before {
        return Ok(None);
    }
    serde_json::from_value(value).map(Some).map_err(internal)
}

fn add_features(protocol: &mut Value, list: &str, features: &[&str]) {
    let mut named: Vec<String> = protocol
        .get(list)
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    for feature in features {
        if named.iter().all(|name| name != feature) {
            named.push((*feature).to_owned());
        }
    }
    protocol[list] = json!(named);
}

pub(crate) fn holds_timestamp_without_zone(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, None) => true,
        DataType::List(field) | DataType::Map(field, _) => holds_timestamp_without_zone(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_timestamp_without_zone(field.data_type())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raise(protocol: Value, needs: Needs) -> Option<Value> {
        let protocol: Protocol = serde_json::from_value(protocol).unwrap();
        raised(&protocol, needs).unwrap().map(|protocol| serde_json::to_value(protocol).unwrap())
    }

    #[test]
    fn it_rises_only_as_far_as_it_must() {
        let plain = json!({"minReaderVersion": 1, "minWriterVersion": 2});
        let checks = Needs { checks: true, ..Needs::default() };
        let times = Needs { timestamps_without_zone: true, ..Needs::default() };
        assert_eq!(raise(plain.clone(), Needs::default()), None);
        assert_eq!(raise(plain.clone(), checks).unwrap()["minWriterVersion"], 3);
        assert_eq!(raise(json!({"minReaderVersion": 1, "minWriterVersion": 4}), checks), None);
        let raised = raise(plain, times).unwrap();
        assert_eq!((&raised["minReaderVersion"], &raised["minWriterVersion"]), (&json!(3), &json!(7)));
        assert_eq!(raised["readerFeatures"], json!(["timestampNtz"]));
        let writer = raised["writerFeatures"].as_array().unwrap();
        assert!(["appendOnly", "invariants", "timestampNtz"].iter().all(|name| writer.contains(&json!(name))));
        assert!(!writer.contains(&json!("checkConstraints")));
    }
}
