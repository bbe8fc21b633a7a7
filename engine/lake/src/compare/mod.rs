//! How a table came from one version to another: by the changes it kept, and by comparing the two.

mod changes;
mod difference;

use arrow::datatypes::{DataType, Field, FieldRef};
use std::sync::Arc;

/// What happened to a row.
const CHANGE_TYPE: &str = "_change_type";
/// The version that did it.
const COMMIT_VERSION: &str = "_commit_version";
/// And when.
const COMMIT_TIMESTAMP: &str = "_commit_timestamp";

fn text_field(name: &str) -> FieldRef {
    Arc::new(Field::new(name, DataType::Utf8, false))
}
