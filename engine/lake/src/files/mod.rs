//! Files that no log lists, as a table: Parquet, CSV, JSON lines and Arrow IPC, by path, folder or pattern.
//!
//! Ours rather than DataFusion's listing table, because it keeps a folder's listing for ever, splits patterns at other
//! places than people expect, reads the folder of a NULL as text, and matches the columns of CSV files by place alone.

mod export;
mod find;
mod infer;
mod options;
mod partitions;
mod pattern;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;

use crate::error::{Error, Result};
use crate::external::Format;
use crate::types::storable;
use options::Options;
use partitions::Partitions;
use table::FilesTable;

pub(crate) use export::export;
pub(crate) use find::url;

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Reading {
    pub format: Format,
    /// Files, folders, or patterns: `*` and `?` within a name, `**` across folders, `[a-z]`.
    pub paths: Vec<String>,
    /// By the names that DuckDB, PostgreSQL's COPY or DataFusion have for them.
    pub options: BTreeMap<String, String>,
    /// The files' columns, where they aren't to be found out; partition columns among them.
    pub columns: Option<SchemaRef>,
    /// Columns whose values stand in the names of folders (`year=2026`). `None` finds them out.
    pub partition_columns: Option<Vec<String>>,
}

/// A table over the files that are there now.
pub(crate) async fn open(reading: Reading, session: &SessionState) -> Result<Arc<dyn TableProvider>> {
    let mut options = Options::parse(reading.format, &reading.options)?;
    let found = find::files(reading.format, &reading.paths, session).await?;
    let compression = found.compression()?;
    let format = options.file_format(reading.format, compression, session)?;
    let hive = reading.partition_columns.is_some() || options.hive_partitioning != Some(false);
    let partitions = match hive {
        true => {
            let wanted = reading.partition_columns.as_deref();
            Partitions::of(&found.files, wanted, reading.columns.as_deref(), options.hive_partitioning)?
        }
        false => Partitions::none(found.files.len()),
    };
    // Partition columns may be declared alone, for their types.
    let in_files = |field: &FieldRef| partitions.fields.iter().all(|partition| partition.name() != field.name());
    let declared = reading.columns.as_ref().filter(|columns| columns.fields().iter().any(in_files));
    let schema = match declared {
        Some(columns) => columns.clone(),
        None => infer::schema(&format, &found, reading.format, session).await?,
    };
    // A partition column that the files have too is the folder's.
    let own = schema.fields().iter().filter(|field| in_files(field));
    let mut file_schema = Arc::new(Schema::new(own.cloned().collect::<Fields>()));
    if file_schema.fields().is_empty() && partitions.fields.is_empty() {
        return Err(Error::InvalidDefinition { message: format!("no columns could be found in {}", found.first()) });
    }
    if options.all_text {
        file_schema = all_text(&file_schema);
    }
    if reading.format == Format::Csv && options.has_header() {
        infer::check_headers(&options, &found, &schema, declared.is_some()).await?;
    }
    if let Some(null_text) = &options.null_text {
        let table = FilesTable::new(format, found, all_text(&file_schema), partitions);
        return table.with_types(&file_schema, Some(null_text));
    }
    let plain = readable_schema(&file_schema);
    let table = FilesTable::new(format, found, file_schema, partitions);
    match reading.format {
        // Its reader hands on what the files have.
        Format::Arrow => table.with_types(&plain, None),
        _ => Ok(Arc::new(table)),
    }
}

fn all_text(schema: &Schema) -> SchemaRef {
    let text = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8));
    Arc::new(Schema::new(schema.fields().iter().map(text).collect::<Fields>()))
}

/// The type that a query meets for one that a file has: without views, dictionaries, or offsets of other widths.
fn readable(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        DataType::Timestamp(..) | DataType::UInt64 => data_type.clone(),
        DataType::Decimal256(..) => data_type.clone(),
        DataType::Dictionary(_, values) => readable(values),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(readable_field).collect()),
        DataType::List(element) | DataType::LargeList(element) => DataType::List(readable_field(element)),
        other => storable(other).unwrap_or_else(|_| other.clone()),
    }
}

fn readable_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), readable(field.data_type()), true))
}

/// Columns as queries meet them: nullable, since nobody promises more of a file.
fn readable_schema(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(readable_field).collect::<Fields>()))
}

#[cfg(test)]
mod tests;
