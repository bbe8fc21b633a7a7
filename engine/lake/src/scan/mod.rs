//! A table as queries scan it, and which of its files and rows a statement asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;
use deltalake::delta_datafusion::{DeltaScanNext, FileSelection};

use crate::error::{Error, Result};
use crate::snapshot::Snapshot;
use library::{Scanned, ScannedRows};
use plain::Plain;

/// Files with their statistics, as the log lists them.
mod files;
/// Which files a statement's filters leave.
mod pruning;
/// What the optimizer is told of them.
mod statistics;
/// Scans of plain tables.
mod plain;
/// Their Parquet files in a plan.
mod source;
/// The Delta library's provider, for the other tables.
mod library;
/// A number for each row.
mod numbered;

pub(crate) use files::FileList;
pub(crate) use pruning::select;

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

/// A table to scan. The store is registered with the session's runtime.
pub(crate) fn provider(snapshot: &Snapshot, session: &SessionState, scan: RowScan) -> Result<Arc<dyn TableProvider>> {
    for name in [&scan.file_column, &scan.row_column].into_iter().flatten() {
        if snapshot.schema().field_with_name(name).is_ok() {
            return Err(Error::InvalidDefinition { message: format!("column name \"{name}\" is reserved") });
        }
    }
    if let Some(files) = &scan.files {
        snapshot.file_list()?.positions(files)?;
    }
    let mut config = snapshot.scan_config(session)?;
    let columns = DeltaScanNext::new(snapshot.state_ref(), config.clone())?.schema();
    if let Some(plain) = Plain::of(snapshot, &columns, scan.clone())? {
        return Ok(Arc::new(plain));
    }
    if let Some(name) = &scan.file_column {
        config = config.with_file_column_name(name);
    }
    let mut provider = DeltaScanNext::new(snapshot.state_ref(), config)?;
    let files = snapshot.file_list()?;
    if let Some(wanted) = &scan.files {
        provider = provider.with_file_selection(FileSelection::from_file_paths(files.encoded(wanted)?));
    }
    let paths = files.by_address(snapshot.location())?;
    Ok(Arc::new(ScannedRows::new(Scanned::new(Arc::new(provider)), paths, scan)))
}
