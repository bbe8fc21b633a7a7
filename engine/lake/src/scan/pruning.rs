//! Which files can hold rows that a statement's filters let through.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::FileList;
use super::source::Pruned;

/// The files to read, by their positions in the list, and the count of those that the filters rule out.
///
/// `schema` is the table's. Filters are only ever taken as reasons to leave a file out: what can't be evaluated here
/// rules out nothing.
pub(crate) fn select(
    files: &FileList,
    candidates: Vec<usize>,
    schema: &SchemaRef,
    partition_columns: &[String],
    filters: &[Expr],
    session: &dyn Session,
) -> Result<(Vec<usize>, Pruned)> {
    let mut pruned = Pruned {
        files_of_table: files.len(),
        bytes_of_table: (0..files.len()).map(|file| files.bytes(file)).sum(),
        ..Pruned::default()
    };
    let floating =
        |column: &Column| schema.field_with_name(column.name()).map_or(true, |field| field.data_type().is_floating());
    let mut kept = candidates;
    let df_schema = DFSchema::try_from(schema.as_ref().clone())?;
    for filter in filters {
        let columns = filter.column_refs();
        if columns.is_empty() || filter.is_volatile() || columns.iter().any(|column| floating(column)) {
            continue;
        }
        let by_partitions = columns.iter().all(|column| partition_columns.iter().any(|name| name == column.name()));
        let Ok(predicate) = session.create_physical_expr(filter.clone(), &df_schema) else { continue };
        let holds = if by_partitions {
            let Some(values) = partition_batch(files, schema, partition_columns)? else { continue };
            let Ok(answer) = predicate.evaluate(&values).and_then(|answer| answer.into_array(files.len())) else {
                continue;
            };
            let Some(answer) = answer.as_boolean_opt() else { continue };
            answer.iter().map(|holds| holds == Some(true)).collect()
        } else {
            let builder = PruningPredicateBuilder::new().with_file_schema(schema.clone());
            let Some(predicate) = builder.build(predicate) else { continue };
            let statistics = ByFile { files, schema, partition_columns };
            let Ok(holds) = predicate.prune(&statistics) else { continue };
            holds
        };
        let before = kept.len();
        kept.retain(|file| holds.get(*file).copied().unwrap_or(true));
        match by_partitions {
            true => pruned.files_by_partitions += before - kept.len(),
            false => pruned.files_by_statistics += before - kept.len(),
        }
    }
    pruned.files = kept.len();
    pruned.bytes = kept.iter().map(|file| files.bytes(*file)).sum();
    Ok((kept, pruned))
}

/// A row for each file: its partition values where the table's columns are, NULL in the others.
fn partition_batch(files: &FileList, schema: &SchemaRef, partition_columns: &[String]) -> Result<Option<RecordBatch>> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        if !partition_columns.contains(field.name()) {
            columns.push(arrow::array::new_null_array(&DataType::Null, files.len()));
            continue;
        }
        let Some(values) = files.partition_values(field.name()) else { return Ok(None) };
        columns.push(cast(values, field.data_type())?);
    }
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()).with_nullable(true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(files.len()));
    Ok(Some(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?))
}

/// The log's statistics, with partition values as minima and maxima.
struct ByFile<'a> {
    files: &'a FileList,
    schema: &'a SchemaRef,
    partition_columns: &'a [String],
}

impl ByFile<'_> {
    fn is_partition(&self, column: &Column) -> bool {
        self.partition_columns.iter().any(|name| name == column.name())
    }

    fn bound(&self, column: &Column, of_file: impl Fn(&str, &DataType) -> Option<ArrayRef>) -> Option<ArrayRef> {
        let field = self.schema.field_with_name(column.name()).ok()?;
        match self.is_partition(column) {
            true => self.files.partition_values(column.name()).cloned(),
            false => of_file(column.name(), field.data_type()),
        }
    }
}

impl PruningStatistics for ByFile<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |name, data_type| self.files.minima(name, data_type))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |name, data_type| self.files.maxima(name, data_type))
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        if self.is_partition(column) {
            let rows = self.files.row_counts()?;
            let values = self.files.partition_values(column.name())?;
            let counts = rows.iter().enumerate().map(|(file, rows)| if values.is_null(file) { rows } else { Some(0) });
            return Some(Arc::new(counts.collect::<arrow::array::UInt64Array>()));
        }
        Some(Arc::new(self.files.null_counts(column.name())?))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.files.row_counts()?))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
