//! What a Parquet file says of itself: columns, rows, and minima, maxima and NULLs of columns, as the log has them.
//!
//! A wrong bound hides rows from queries, so a bound is only taken where its writer can't have meant something else: none
//! of floats (NaN is above all numbers here and is left out there), none in the old form that orders text by signed
//! bytes, none when a row group is without; and no count of NULLs that the file doesn't state.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, max, max_string, min, min_string};
use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampNanosecondType};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::DataFusionError;
use deltalake::logstore::ObjectStoreRef;
use deltalake::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use deltalake::parquet::basic::Type as PhysicalType;
use deltalake::parquet::errors::ParquetError;
use deltalake::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use object_store::ObjectMeta;
use serde_json::{Map, Value, json};

use crate::error::Result;

/// What is read of a file's end at first.
const FOOTER_BYTES: usize = 64 << 10;
/// Delta collects statistics of the first 32 columns.
const INDEXED_COLUMNS_MAX: usize = 32;
/// Longer texts are cut, as minima, or left out, as maxima.
const TEXT_CHARACTERS_MAX: usize = 32;

/// A file's own description.
pub(super) struct Footer {
    file: ObjectMeta,
    metadata: Arc<ParquetMetaData>,
    schema: SchemaRef,
}

impl Footer {
    pub async fn read(store: ObjectStoreRef, file: ObjectMeta) -> Result<Footer> {
        let reader = DFParquetMetadata::new(store.as_ref(), &file).with_metadata_size_hint(Some(FOOTER_BYTES));
        let unreadable = |error: DataFusionError| error.context(format!("file {} is not readable", file.location));
        let metadata = reader.fetch_metadata().await.map_err(unreadable)?;
        let schema = reader.with_page_index_policy(None).fetch_schema().await.map_err(unreadable)?;
        Ok(Footer { metadata, schema: Arc::new(schema), file })
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Below the table's folder.
    pub fn path(&self) -> &str {
        self.file.location.as_ref()
    }

    pub fn bytes(&self) -> u64 {
        self.file.size
    }

    pub fn modified_ms(&self) -> i64 {
        self.file.last_modified.timestamp_millis()
    }

    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.file_metadata().num_rows()).unwrap_or_default()
    }

    /// In the form of the log.
    pub fn statistics(&self) -> Result<Value> {
        let (mut least, mut most, mut nulls) = (Map::new(), Map::new(), Map::new());
        for field in self.schema.fields().iter().take(INDEXED_COLUMNS_MAX) {
            let Some(chunks) = self.chunks(field) else { continue };
            if let Some(count) = null_count(&chunks) {
                nulls.insert(field.name().clone(), json!(count));
            }
            if !chunks.iter().all(|chunk| bounded(chunk)) || !orderable(field.data_type()) {
                continue;
            }
            let (lower, upper) = self.bounds(field, &self.schema).map_err(DataFusionError::from)?;
            if let (Some(lower), Some(upper)) = (lower, upper) {
                least.insert(field.name().clone(), lower);
                most.insert(field.name().clone(), upper);
            }
        }
        Ok(json!({"numRecords": self.rows(), "minValues": least, "maxValues": most, "nullCount": nulls}))
    }

    /// The column's part of each row group; `None` when it isn't a plain column.
    fn chunks(&self, field: &Field) -> Option<Vec<&ColumnChunkMetaData>> {
        if field.data_type().is_nested() {
            return None;
        }
        let of = |chunk: &&ColumnChunkMetaData| matches!(chunk.column_path().parts(), [name] if name == field.name());
        self.metadata.row_groups().iter().map(|group| group.columns().iter().find(of)).collect()
    }

    fn bounds(&self, field: &Field, schema: &Schema) -> Result<(Option<Value>, Option<Value>), ParquetError> {
        let columns = self.metadata.file_metadata().schema_descr();
        let converter = StatisticsConverter::try_new(field.name(), schema, columns)?;
        let groups = self.metadata.row_groups();
        let (lower, upper) = (converter.row_group_mins(groups)?, converter.row_group_maxes(groups)?);
        Ok((value(&lower, false), value(&upper, true)))
    }
}

fn null_count(chunks: &[&ColumnChunkMetaData]) -> Option<u64> {
    chunks.iter().map(|chunk| chunk.statistics()?.null_count_opt()).sum()
}

/// Whether a row group's bounds can be trusted; a group of NULLs alone has none and needs none.
fn bounded(chunk: &ColumnChunkMetaData) -> bool {
    let Some(statistics) = chunk.statistics() else { return false };
    let values = u64::try_from(chunk.num_values()).unwrap_or_default();
    let only_nulls = statistics.null_count_opt() == Some(values);
    let given = statistics.min_bytes_opt().is_some() && statistics.max_bytes_opt().is_some();
    (given || only_nulls) && !statistics.is_min_max_deprecated() && chunk.column_type() != PhysicalType::INT96
}

fn orderable(data_type: &DataType) -> bool {
    use DataType::*;
    matches!(
        data_type,
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | Utf8 | LargeUtf8 | Utf8View | Date32 | Timestamp(..)
    )
}

/// The least of the minima, or the greatest of the maxima, as JSON.
fn value(bounds: &ArrayRef, upper: bool) -> Option<Value> {
    match bounds.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let texts = cast(bounds, &DataType::Utf8).ok()?;
            let texts = texts.as_string_opt::<i32>()?;
            let text = if upper { max_string(texts) } else { min_string(texts) }?;
            let long = text.chars().count() > TEXT_CHARACTERS_MAX;
            (!long || !upper).then(|| json!(text.chars().take(TEXT_CHARACTERS_MAX).collect::<String>()))
        }
        DataType::Date32 => {
            let days = bounds.as_primitive_opt::<Date32Type>()?;
            let day = if upper { max(days) } else { min(days) }?;
            Some(json!(Date32Type::to_naive_date_opt(day)?.to_string()))
        }
        DataType::Timestamp(_, zone) => {
            // Nanoseconds reach from 1677 to 2262; a bound beyond is none.
            let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, zone.clone());
            let times = cast(bounds, &nanoseconds).ok().filter(|times| times.null_count() == bounds.null_count())?;
            let times = times.as_primitive_opt::<TimestampNanosecondType>()?;
            time(if upper { max(times) } else { min(times) }?, upper, zone.is_some())
        }
        _ => {
            let numbers = cast(bounds, &DataType::Int64).ok()?;
            let numbers = numbers.as_primitive_opt::<Int64Type>()?;
            Some(json!(if upper { max(numbers) } else { min(numbers) }?))
        }
    }
}

/// To the millisecond outwards, as the log has times.
fn time(nanoseconds: i64, upper: bool, zoned: bool) -> Option<Value> {
    const MILLISECOND: i64 = 1_000_000;
    let floor = nanoseconds.div_euclid(MILLISECOND);
    let inexact = nanoseconds.rem_euclid(MILLISECOND) != 0;
    let milliseconds = if upper && inexact { floor.checked_add(1)? } else { floor };
    let time = arrow::temporal_conversions::timestamp_ms_to_datetime(milliseconds)?;
    Some(json!(format!("{}{}", time.format("%Y-%m-%dT%H:%M:%S%.3f"), if zoned { "Z" } else { "" })))
}
