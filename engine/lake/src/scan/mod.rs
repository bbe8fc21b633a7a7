//! A table as queries scan it, and which of its files and rows a statement asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};

/// Files with their statistics, as the log lists them.
mod files;
/// The Delta library's provider.
mod library;
/// A number for each row.
mod numbered;

pub(crate) use files::FileList;
pub(crate) use library::{Scanned, ScannedRows};

/// Which rows to scan and what to say beside them. The extra columns come after the table's, in this order.
#[derive(Clone, Debug, Default)]
pub struct RowScan {
    /// Only these files, by their paths as [`FileInfo::path`] has them; all when none are given.
    pub files: Option<BTreeSet<String>>,
    /// Name of a column (`Utf8`) with the path of the row's file.
    pub file_column: Option<String>,
    /// Name of a column (`UInt64`) with a number that is unique among the rows of this one scan, and another in the
    /// next.
    pub row_column: Option<String>,
}

impl RowScan {
    fn added_fields(&self) -> impl Iterator<Item = FieldRef> {
        let file = self.file_column.as_ref().map(|name| Field::new(name, DataType::Utf8, false));
        let row = self.row_column.as_ref().map(|name| Field::new(name, DataType::UInt64, false));
        file.into_iter().chain(row).map(Arc::new)
    }

    fn adds(&self, column: &str) -> bool {
        [&self.file_column, &self.row_column].into_iter().flatten().any(|name| name == column)
    }
}

/// One file of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Relative to the table, as the path of an `add` action reads once it is percent-decoded.
    pub path: String,
    pub bytes: u64,
    /// Rows in the file, deleted ones included; unknown where its writer wrote no statistics.
    pub rows: Option<u64>,
    /// By the names of the log (physical ones under column mapping), as text.
    pub partition_values: BTreeMap<String, Option<String>>,
    pub modified_ms: i64,
    /// Some of its rows are deleted by a deletion vector.
    pub has_deletions: bool,
}
