//! What an external table is over: somebody else's Delta tables and files.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use url::Url;

use crate::error::{Error, Result};
use crate::files::Reading;

/// The option of an external table that names the columns which stand in its folders' names, with commas between.
pub const PARTITION_COLUMNS: &str = "partition_columns";

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Delta,
    Parquet,
    Csv,
    /// One value in each line.
    Json,
    /// Arrow's IPC files.
    Arrow,
}

impl Format {
    pub const ALL: [Format; 5] = [Format::Delta, Format::Parquet, Format::Csv, Format::Json, Format::Arrow];

    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Format::Delta => "delta",
            Format::Parquet => "parquet",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Arrow => "arrow",
        }
    }

    /// Inverse of [`Format::name`].
    pub fn of(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// A Delta table says itself what its columns and formats are.
pub(crate) fn refuse_options(schema_given: bool, options: &BTreeMap<String, String>) -> Result<()> {
    let message = match options.keys().next() {
        Some(key) => format!("a delta table takes no option \"{key}\""),
        None if schema_given => "a delta table takes no column list: its log has one".to_owned(),
        None => return Ok(()),
    };
    Err(Error::InvalidDefinition { message })
}

/// The files that an external table reads.
pub(crate) fn reading(
    format: Format,
    location: &Url,
    columns: Option<SchemaRef>,
    options: &BTreeMap<String, String>,
) -> Reading {
    let mut options = options.clone();
    let partition_columns = options.remove(PARTITION_COLUMNS);
    let names = |names: String| names.split(',').map(|name| name.trim().to_owned()).collect();
    Reading {
        format,
        paths: vec![location.to_string()],
        options,
        columns,
        partition_columns: partition_columns.map(names),
    }
}
