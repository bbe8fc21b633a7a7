//! What the optimizer is told of the files that a scan reads.

use arrow::array::Array;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::error::Result;

use super::FileList;
use super::files::Bounds;

/// Statistics of single files, with those of some columns.
pub(super) struct FileStatistics<'a> {
    files: &'a FileList,
    columns: Vec<Column>,
    rows: Option<arrow::array::UInt64Array>,
}

/// A column's arrays over all files.
struct Column {
    minima: Option<arrow::array::ArrayRef>,
    maxima: Option<arrow::array::ArrayRef>,
    nulls: Option<arrow::array::UInt64Array>,
    partition: Option<arrow::array::ArrayRef>,
    bounds: Option<Bounds>,
    data_type: DataType,
}

impl<'a> FileStatistics<'a> {
    /// `schema`: the columns of the scan, partition columns from position `partitions_from` on. Columns that `wanted`
    /// doesn't hold stay unknown.
    pub fn new(files: &'a FileList, schema: &Schema, partitions_from: usize, wanted: impl Fn(&str) -> bool) -> Self {
        let columns = schema.fields().iter().enumerate().map(|(position, field)| {
            let (name, data_type) = (field.name(), field.data_type().clone());
            let mut column =
                Column { minima: None, maxima: None, nulls: None, partition: None, bounds: None, data_type };
            if position >= partitions_from {
                column.partition = files.partition_values(name).cloned();
            } else if wanted(name) && !column.data_type.is_nested() {
                column.bounds = Bounds::of(&column.data_type);
                column.minima = files.minima(name, &column.data_type);
                column.maxima = files.maxima(name, &column.data_type);
                column.nulls = files.null_counts(name);
            }
            column
        });
        FileStatistics { files, columns: columns.collect(), rows: files.row_counts() }
    }

    pub fn of(&self, file: usize) -> Result<Statistics> {
        let rows = self.rows.as_ref().filter(|rows| rows.is_valid(file)).map(|rows| rows.value(file));
        let rows = rows.and_then(|rows| usize::try_from(rows).ok());
        let column_statistics = self.columns.iter().map(|column| column.of(file, rows)).collect::<Result<_>>()?;
        Ok(Statistics {
            num_rows: rows.map_or(Precision::Absent, Precision::Exact),
            total_byte_size: Precision::Inexact(usize::try_from(self.files.bytes(file)).unwrap_or(usize::MAX)),
            column_statistics,
        })
    }
}

impl Column {
    fn of(&self, file: usize, rows: Option<usize>) -> Result<ColumnStatistics> {
        let mut statistics = ColumnStatistics::new_unknown();
        if let Some(values) = &self.partition {
            let value = ScalarValue::try_from_array(values, file)?.cast_to(&self.data_type)?;
            if value.is_null() {
                statistics.null_count = rows.map_or(Precision::Absent, Precision::Exact);
            } else {
                statistics.null_count = Precision::Exact(0);
                // Not exact: two NaN of different bits would count as one constant.
                let exact = !self.data_type.is_floating();
                let bound = if exact { Precision::Exact } else { Precision::Inexact };
                statistics.min_value = bound(value.clone());
                statistics.max_value = bound(value);
            }
            return Ok(statistics);
        }
        let nulls = self.nulls.as_ref().filter(|nulls| nulls.is_valid(file)).map(|nulls| nulls.value(file));
        if let Some(nulls) = nulls.and_then(|nulls| usize::try_from(nulls).ok()) {
            statistics.null_count = Precision::Exact(nulls);
        }
        statistics.min_value = self.bound(self.minima.as_ref(), file)?;
        statistics.max_value = self.bound(self.maxima.as_ref(), file)?;
        Ok(statistics)
    }

    fn bound(&self, bounds: Option<&arrow::array::ArrayRef>, file: usize) -> Result<Precision<ScalarValue>> {
        let Some(bounds) = bounds.filter(|bounds| bounds.is_valid(file)) else { return Ok(Precision::Absent) };
        let value = ScalarValue::try_from_array(bounds, file)?.cast_to(&self.data_type)?;
        Ok(match self.bounds {
            Some(Bounds::Exact) => Precision::Exact(value),
            Some(Bounds::Rounded) => Precision::Inexact(value),
            None => Precision::Absent,
        })
    }
}
