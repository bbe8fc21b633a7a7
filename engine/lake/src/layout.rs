//! How rows lie in Parquet: compression, row groups, and what each kind of column is spared.

use std::num::NonZeroU64;

use arrow::datatypes::{DataType, Field, Schema};
use deltalake::datafile::writer::WriterConfig;
use deltalake::operations::write::configs::WriterStatsConfig;
use deltalake::parquet::basic::{Compression, Encoding, ZstdLevel};
use deltalake::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use deltalake::parquet::schema::types::ColumnPath;

use crate::error::{Error, Result};
use crate::physical::file_name;
use crate::rules::Demands;

/// The most encoded bytes of a row group, which is what one open file holds in memory.
pub(crate) const ROW_GROUP_BYTES_MAX: usize = 64 << 20;
const ROW_GROUP_ROWS_MAX: usize = 1 << 20;
/// The property with the size at which a file is closed.
pub(crate) const TARGET_FILE_SIZE: &str = "delta.targetFileSize";
const FILE_BYTES_DEFAULT: u64 = 128 << 20;
/// Rows given to the encoder between two looks at the file's size.
const WRITE_BATCH_ROWS: usize = 8192;
/// Delta collects statistics of the first 32 columns unless told otherwise.
const INDEXED_COLUMNS_DEFAULT: &str = "32";

/// Files of column-mapped tables lie in folders of random names this long, not in folders named after partitions.
const RANDOM_PREFIX_CHARACTERS: usize = 2;

/// The writer's configuration for files of `schema` (partition columns included, names as in the files).
///
/// # Errors
/// [`Error::InvalidDefinition`] when a property of the table has a value that can't be read.
pub(crate) fn writer_config<'a>(
    schema: &arrow::datatypes::SchemaRef,
    demands: &Demands<'_>,
    property: impl Fn(&str) -> Option<&'a str>,
) -> Result<WriterConfig> {
    let indexed_key = "delta.dataSkippingNumIndexedCols";
    let indexed = property(indexed_key).unwrap_or(INDEXED_COLUMNS_DEFAULT);
    let in_files = |name: &str| match demands.mapped {
        Some(annotated) => file_name(name, annotated).to_owned(),
        None => name.to_owned(),
    };
    let columns = property("delta.dataSkippingStatsColumns")
        .map(|list| list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(in_files).collect());
    let indexed = indexed.try_into().map_err(|_| unreadable(indexed_key, indexed))?;
    let statistics = WriterStatsConfig::new(indexed, columns);
    let file_bytes = file_bytes(property)?;
    Ok(WriterConfig::new(
        schema.clone(),
        demands.partition_columns.iter().map(|name| in_files(name)).collect(),
        Some(writer_properties(schema)),
        NonZeroU64::new(file_bytes),
        Some(WRITE_BATCH_ROWS),
        statistics.num_indexed_cols,
        statistics.stats_columns,
    )
    .with_random_prefix_length(demands.mapped.map(|_| RANDOM_PREFIX_CHARACTERS)))
}

/// The size at which a table's files are closed.
///
/// # Errors
/// [`Error::InvalidDefinition`] when the property can't be read.
pub(crate) fn file_bytes<'a>(property: impl Fn(&str) -> Option<&'a str>) -> Result<u64> {
    match property(TARGET_FILE_SIZE) {
        Some(text) => bytes(text).ok_or_else(|| unreadable(TARGET_FILE_SIZE, text)),
        None => Ok(FILE_BYTES_DEFAULT),
    }
}

fn unreadable(key: &str, value: &str) -> Error {
    Error::InvalidDefinition { message: format!("table property {key} has the unreadable value \"{value}\"") }
}

/// A size such as `134217728`, `128mb` or `1gb`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).trim_end();
    let unit = match text.get(digits.len()..)?.trim() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| *bytes > 0)
}

fn writer_properties(schema: &Schema) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by("alluvia".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX));
    for field in schema.fields() {
        properties = vector_properties(properties, &[], field);
    }
    properties.build()
}

/// Lists of floats are vectors: no two values are alike, so a dictionary and minima are only cost, and splitting
/// the bytes of the floats into streams is what lets the compressor find the exponents.
fn vector_properties(
    properties: WriterPropertiesBuilder,
    parents: &[String],
    field: &Field,
) -> WriterPropertiesBuilder {
    let path: Vec<String> = parents.iter().chain([field.name()]).cloned().collect();
    match field.data_type() {
        DataType::List(element) if element.data_type().is_floating() => {
            let parts = path.into_iter().chain(["list".to_owned(), element.name().clone()]).collect();
            let column = ColumnPath::new(parts);
            properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column.clone(), Encoding::BYTE_STREAM_SPLIT)
                .set_column_statistics_enabled(column, EnabledStatistics::None)
        }
        DataType::Struct(fields) => {
            fields.iter().fold(properties, |properties, field| vector_properties(properties, &path, field))
        }
        _ => properties,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        let cases =
            [("134217728", Some(1 << 27)), ("128mb", Some(1 << 27)), ("1 GB", Some(1 << 30)), ("0", None), ("x", None)];
        for (text, expected) in cases {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
