//! Options of reading and writing files, by the names that DuckDB, PostgreSQL's COPY and DataFusion have for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::execution::SessionState;

use crate::error::{Error, Result};
use crate::external::Format;

/// Records that are looked at to find the types of columns, unless told otherwise.
const SAMPLE_RECORDS: usize = 20_480;

#[derive(Debug, Default)]
pub(super) struct Options {
    /// As DataFusion names them, behind `format.`.
    values: BTreeMap<&'static str, String>,
    pub hive_partitioning: Option<bool>,
    pub all_text: bool,
    /// A text that stands for NULL, besides the empty one.
    pub null_text: Option<String>,
    compression: Option<FileCompressionType>,
}

impl Options {
    pub fn parse(format: Format, given: &BTreeMap<String, String>) -> Result<Options> {
        let mut options = Options::default();
        for (key, value) in given {
            let key = key.to_lowercase();
            let key = key.strip_prefix("format.").unwrap_or(&key);
            options.take(format, key, value)?;
        }
        Ok(options)
    }

    fn take(&mut self, format: Format, key: &str, value: &str) -> Result<()> {
        match (format, key) {
            (_, "hive_partitioning") => self.hive_partitioning = Some(flag(key, value)?),
            (Format::Csv | Format::Json, "compression") => self.compression = compression(value)?,
            (Format::Csv | Format::Json, "sample_size" | "schema_infer_max_rec") => {
                self.put("schema_infer_max_rec", sample(value)?);
            }
            (Format::Csv, "header" | "has_header") => self.put("has_header", flag(key, value)?.to_string()),
            (Format::Csv, "delim" | "delimiter" | "sep") => self.put("delimiter", one_byte(key, value)?),
            (Format::Csv, "quote") => self.put("quote", one_byte(key, value)?),
            (Format::Csv, "escape") => self.put("escape", one_byte(key, value)?),
            (Format::Csv, "comment") => self.put("comment", one_byte(key, value)?),
            (Format::Csv, "null" | "nullstr") => {
                // DataFusion heeds it only where it finds types.
                self.put("null_regex", format!("^{}$", literally(value)));
                self.null_text = Some(value.to_owned()).filter(|text| !text.is_empty());
            }
            (Format::Csv, "null_padding" | "truncated_rows") => {
                self.put("truncated_rows", flag(key, value)?.to_string());
            }
            (Format::Csv, "newlines_in_values") => self.put("newlines_in_values", flag(key, value)?.to_string()),
            (Format::Csv, "all_varchar") => self.all_text = flag(key, value)?,
            (Format::Json, "format") => match value.to_lowercase().as_str() {
                "newline_delimited" | "nd" => self.put("newline_delimited", "true".to_owned()),
                "array" => self.put("newline_delimited", "false".to_owned()),
                _ => return Err(invalid(key, value, "newline_delimited or array")),
            },
            _ => return Err(unknown(format, key)),
        }
        Ok(())
    }

    fn put(&mut self, key: &'static str, value: String) {
        self.values.insert(key, value);
    }

    pub fn has_header(&self) -> bool {
        self.values.get("has_header").is_none_or(|value| value == "true")
    }

    pub fn delimiter(&self) -> u8 {
        self.byte("delimiter").unwrap_or(b',')
    }

    pub fn byte(&self, key: &str) -> Option<u8> {
        self.values.get(key).and_then(|value| value.bytes().next())
    }

    /// DataFusion's reader of the format. `by_name`: how the files' names say that they are compressed.
    pub fn file_format(
        &mut self,
        format: Format,
        by_name: FileCompressionType,
        session: &SessionState,
    ) -> Result<Arc<dyn FileFormat>> {
        let compression = self.compression.unwrap_or(by_name);
        if matches!(format, Format::Csv | Format::Json) {
            self.values.insert("compression", compression.get_variant().to_string());
            self.values.entry("schema_infer_max_rec").or_insert_with(|| SAMPLE_RECORDS.to_string());
        } else if compression.is_compressed() {
            return Err(Error::Unsupported { what: format!("compressed {} files", format.name()) });
        }
        if format == Format::Csv {
            self.values.entry("has_header").or_insert_with(|| "true".to_owned());
            // A file that is split may otherwise be split within a quoted value.
            self.values.entry("newlines_in_values").or_insert_with(|| "true".to_owned());
        }
        if format == Format::Parquet {
            self.values.insert("schema_force_view_types", "false".to_owned());
        }
        let options: HashMap<String, String> =
            self.values.iter().map(|(key, value)| (format!("format.{key}"), value.clone())).collect();
        let factory = session
            .get_file_format_factory(format.name())
            .ok_or_else(|| Error::UnsupportedFeature { name: format!("files of format {}", format.name()) })?;
        factory.create(session, &options).map_err(|error| Error::InvalidDefinition { message: error.to_string() })
    }

    pub fn compression(&self, by_name: FileCompressionType) -> FileCompressionType {
        self.compression.unwrap_or(by_name)
    }
}

pub(super) fn flag(key: &str, value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "true" | "on" | "yes" | "1" | "" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(invalid(key, value, "true or false")),
    }
}

pub(super) fn one_byte(key: &str, value: &str) -> Result<String> {
    let value = if value == "\\t" { "\t" } else { value };
    match value.len() {
        1 => Ok(value.to_owned()),
        _ => Err(invalid(key, value, "a single one-byte character")),
    }
}

fn sample(value: &str) -> Result<String> {
    match value.trim() {
        "-1" => Ok(usize::MAX.to_string()),
        number => match number.parse::<usize>() {
            Ok(count) if count > 0 => Ok(number.to_owned()),
            _ => Err(invalid("sample_size", value, "a number of records, or -1 for all")),
        },
    }
}

/// `None` leaves it to the names of the files.
pub(super) fn compression(value: &str) -> Result<Option<FileCompressionType>> {
    Ok(match value.to_lowercase().as_str() {
        "auto" | "auto_detect" => None,
        "none" | "uncompressed" => Some(FileCompressionType::UNCOMPRESSED),
        "gzip" | "gz" => Some(FileCompressionType::GZIP),
        "zstd" | "zst" => Some(FileCompressionType::ZSTD),
        "bzip2" | "bz2" => Some(FileCompressionType::BZIP2),
        "xz" => Some(FileCompressionType::XZ),
        _ => return Err(invalid("compression", value, "none, gzip, zstd, bzip2 or xz")),
    })
}

pub(super) fn invalid(key: &str, value: &str, expected: &str) -> Error {
    Error::InvalidOption { message: format!("option \"{key}\" must be {expected}, not \"{value}\"") }
}

fn unknown(format: Format, key: &str) -> Error {
    let known = match format {
        Format::Csv => {
            "header, delim, quote, escape, comment, nullstr, null_padding, all_varchar, sample_size, compression, \
             newlines_in_values, hive_partitioning"
        }
        Format::Json => "format, sample_size, compression, hive_partitioning",
        Format::Parquet | Format::Arrow | Format::Delta => "hive_partitioning",
    };
    Error::InvalidOption { message: format!("{} files have no option \"{key}\", but {known}", format.name()) }
}

/// A text as a regular expression that matches nothing else.
fn literally(text: &str) -> String {
    let mut expression = String::with_capacity(text.len());
    for character in text.chars() {
        if !character.is_alphanumeric() && character.is_ascii() {
            expression.push('\\');
        }
        expression.push(character);
    }
    expression
}
