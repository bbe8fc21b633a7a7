//! The files of a version with their statistics, one row each, as arrays.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use deltalake::Path;
use deltalake::kernel::EagerSnapshot;
use url::Url;

use crate::error::{Error, Result};

/// The most digits of a decimal that writers which pass through `f64` keep.
const DECIMAL_DIGITS_MAX: u8 = 15;
/// Some writers cut the microseconds off a timestamp's bounds, before 1970 towards later.
const MILLISECOND_US: i64 = 1000;

/// What the log says of each file, in the log's order. Columns: `path` (as written, percent-encoded), `size_bytes`,
/// `modification_time`, `num_records`, and `min.x`, `max.x`, `null_count.x`, `partition.x` for columns x.
#[derive(Debug)]
pub(crate) struct FileList {
    actions: RecordBatch,
    /// Percent-decoded.
    paths: Vec<String>,
    has_deletions: bool,
    /// Where the files lie in the table's store; computed when a scan first asks.
    locations: OnceLock<Option<Vec<Path>>>,
}

impl FileList {
    pub fn of(state: &EagerSnapshot) -> Result<FileList> {
        let batches = state.add_actions_batches(true)?;
        let actions = match batches.as_slice() {
            [] => state.add_actions_table(true)?,
            [one] => one.clone(),
            all => concat_batches(&all[0].schema(), all).map_err(datafusion::error::DataFusionError::from)?,
        };
        let mut has_deletions = false;
        let views = state.log_data();
        let paths = views.iter().map(|file| {
            has_deletions |= file.deletion_vector_descriptor().is_some();
            file.path().into_owned()
        });
        let paths = paths.collect::<Vec<_>>();
        if paths.len() != actions.num_rows() {
            return Err(Error::Internal { message: "the log's files and their statistics differ in number".into() });
        }
        Ok(FileList { actions, paths, has_deletions, locations: OnceLock::new() })
    }

    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether a file has rows that a deletion vector deletes.
    pub fn has_deletions(&self) -> bool {
        self.has_deletions
    }

    pub fn path(&self, file: usize) -> &str {
        self.paths.get(file).map_or("", String::as_str)
    }

    pub fn bytes(&self, file: usize) -> u64 {
        self.integer("size_bytes", file).and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
    }

    pub fn modified_ms(&self, file: usize) -> i64 {
        self.integer("modification_time", file).unwrap_or(0)
    }

    /// Positions of the files with these decoded paths.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a path is none of this version's.
    pub fn positions(&self, wanted: &BTreeSet<String>) -> Result<Vec<usize>> {
        let found: Vec<usize> =
            self.paths.iter().enumerate().filter(|(_, path)| wanted.contains(*path)).map(|(file, _)| file).collect();
        if found.len() != wanted.len() {
            return Err(Error::Conflict { message: "A file to read is no longer part of the table.".into() });
        }
        Ok(found)
    }

    /// The paths as the log writes them of the files with these decoded paths.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a path is none of this version's.
    pub fn encoded(&self, wanted: &BTreeSet<String>) -> Result<Vec<String>> {
        let column = self.encoded_column()?;
        Ok(self.positions(wanted)?.into_iter().map(|file| column.value(file).to_owned()).collect())
    }

    /// Each file's place in the store, in the log's order; none when one lies outside of the table's folder.
    pub fn locations(&self, root: &Url) -> Option<&[Path]> {
        let found = || {
            let addresses = self.addresses(root).ok()?;
            let inside = |address: &Url| {
                let inside = address.as_str().starts_with(root.as_str());
                inside.then(|| Path::from_url_path(address.path()).ok()).flatten()
            };
            addresses.iter().map(inside).collect()
        };
        self.locations.get_or_init(found).as_deref()
    }

    /// Each file's address, in the log's order.
    fn addresses(&self, root: &Url) -> Result<Vec<Url>> {
        let joined = self.encoded_column()?.iter().map(|encoded| {
            let encoded = encoded.unwrap_or_default();
            Url::parse(encoded)
                .or_else(|_| root.join(encoded))
                .map_err(|error| Error::Internal { message: format!("the log names a file \"{encoded}\": {error}") })
        });
        joined.collect()
    }

    /// Each file's address to its path.
    pub fn by_address(&self, root: &Url) -> Result<HashMap<String, String>> {
        Ok(self.addresses(root)?.into_iter().map(String::from).zip(self.paths.iter().cloned()).collect())
    }

    /// The value of a partition column in each file.
    pub fn partition_values(&self, column: &str) -> Option<&ArrayRef> {
        self.actions.column_by_name(&format!("partition.{column}"))
    }

    /// Rows of each file; `None` when no file says so.
    pub fn row_counts(&self) -> Option<UInt64Array> {
        self.counts("num_records")
    }

    pub fn null_counts(&self, column: &str) -> Option<UInt64Array> {
        self.counts(&format!("null_count.{column}"))
    }

    /// A value in each file that none of a column's values is below.
    pub fn minima(&self, column: &str, data_type: &DataType) -> Option<ArrayRef> {
        let bounds = Bounds::of(data_type)?;
        let minima = self.actions.column_by_name(&format!("min.{column}"))?;
        Some(if bounds == Bounds::Rounded { widened(minima, 1 - MILLISECOND_US) } else { minima.clone() })
    }

    /// A value in each file that none of a column's values is above.
    pub fn maxima(&self, column: &str, data_type: &DataType) -> Option<ArrayRef> {
        let bounds = Bounds::of(data_type)?;
        let maxima = self.actions.column_by_name(&format!("max.{column}"))?;
        Some(if bounds == Bounds::Rounded { widened(maxima, MILLISECOND_US - 1) } else { maxima.clone() })
    }

    fn counts(&self, name: &str) -> Option<UInt64Array> {
        let counts = cast(self.actions.column_by_name(name)?, &DataType::UInt64).ok()?;
        counts.as_primitive_opt().cloned()
    }

    fn integer(&self, name: &str, file: usize) -> Option<i64> {
        let column = self.actions.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
        (file < column.len() && column.is_valid(file)).then(|| column.value(file))
    }

    fn encoded_column(&self) -> Result<&StringArray> {
        let column = self.actions.column_by_name("path").and_then(|column| column.as_string_opt::<i32>());
        column.ok_or_else(|| Error::Internal { message: "the log's files have no paths".into() })
    }
}

/// Bounds of timestamps moved by so many microseconds where they are whole milliseconds; other bounds as they are.
fn widened(bounds: &ArrayRef, by: i64) -> ArrayRef {
    if !matches!(bounds.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)) {
        return bounds.clone();
    }
    let widened: PrimitiveArray<TimestampMicrosecondType> =
        bounds.as_primitive::<TimestampMicrosecondType>().unary(|bound: i64| {
            let whole = bound.rem_euclid(MILLISECOND_US) == 0;
            bound.saturating_add(if whole { by } else { 0 })
        });
    Arc::new(widened.with_data_type(bounds.data_type().clone()))
}

/// What the log's minima and maxima of a type are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bounds {
    /// Values of the file.
    Exact,
    /// No value of the file lies beyond, but it needn't have them: text is cut, timestamps are rounded.
    Rounded,
}

impl Bounds {
    /// `None`: they say nothing, as NaN and what a float can't hold are left out of them.
    pub fn of(data_type: &DataType) -> Option<Bounds> {
        match data_type {
            data_type if data_type.is_integer() => Some(Bounds::Exact),
            DataType::Date32 => Some(Bounds::Exact),
            DataType::Decimal128(digits, _) if *digits <= DECIMAL_DIGITS_MAX => Some(Bounds::Exact),
            DataType::Utf8 | DataType::Utf8View | DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Some(Bounds::Rounded)
            }
            _ => None,
        }
    }
}
