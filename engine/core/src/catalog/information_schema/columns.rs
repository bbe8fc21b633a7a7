//! `information_schema.columns`.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvia_udfs::pg::pg_type_name;
use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::Result;

/// Rows as they are gathered, one for each column of each table.
#[derive(Default)]
pub(super) struct Columns {
    rows: Vec<Row>,
}

struct Row {
    /// Catalog, schema, table, column.
    names: [String; 4],
    position: i32,
    nullable: &'static str,
    data_type: String,
    element_type: String,
    precision: Option<i32>,
    radix: Option<i32>,
    scale: Option<i32>,
    datetime_precision: Option<i32>,
    comment: Option<String>,
}

impl Columns {
    /// `of`: catalog, schema, table.
    pub fn add(&mut self, of: [&str; 3], columns: &SchemaRef, comments: &BTreeMap<String, String>) {
        let [catalog, schema, table] = of;
        for (field, position) in columns.fields().iter().zip(1..) {
            let name = pg_type_name(field.data_type());
            let (precision, radix, scale) = numbers(field.data_type());
            self.rows.push(Row {
                names: [catalog, schema, table, field.name()].map(str::to_string),
                position,
                nullable: if field.is_nullable() { "YES" } else { "NO" },
                element_type: internal_name(&name),
                data_type: if name.ends_with("[]") { "ARRAY".to_string() } else { name },
                precision,
                radix,
                scale,
                datetime_precision: datetime_precision(field.data_type()),
                comment: comments.get(field.name()).cloned(),
            });
        }
    }

    pub fn table(self) -> Result<Arc<dyn TableProvider>> {
        let rows = &self.rows;
        let text = |part: &dyn Fn(&Row) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(part(row))).collect::<StringArray>())
        };
        let number = |part: &dyn Fn(&Row) -> Option<i32>| -> ArrayRef {
            Arc::new(rows.iter().map(part).collect::<Int32Array>())
        };
        let no_text: ArrayRef = Arc::new(StringArray::new_null(rows.len()));
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("table_catalog", text(&|row| row.names[0].clone()), true),
            ("table_schema", text(&|row| row.names[1].clone()), true),
            ("table_name", text(&|row| row.names[2].clone()), true),
            ("column_name", text(&|row| row.names[3].clone()), true),
            ("ordinal_position", number(&|row| Some(row.position)), true),
            ("column_default", Arc::clone(&no_text), true),
            ("is_nullable", text(&|row| row.nullable.to_string()), true),
            ("data_type", text(&|row| row.data_type.clone()), true),
            ("character_maximum_length", number(&|_| None), true),
            ("character_octet_length", number(&|_| None), true),
            ("numeric_precision", number(&|row| row.precision), true),
            ("numeric_precision_radix", number(&|row| row.radix), true),
            ("numeric_scale", number(&|row| row.scale), true),
            ("datetime_precision", number(&|row| row.datetime_precision), true),
            ("interval_type", Arc::clone(&no_text), true),
            ("udt_catalog", text(&|row| row.names[0].clone()), true),
            ("udt_schema", text(&|_| "pg_catalog".to_string()), true),
            ("udt_name", text(&|row| row.element_type.clone()), true),
            ("is_identity", text(&|_| "NO".to_string()), true),
            ("is_generated", text(&|_| "NEVER".to_string()), true),
            ("generation_expression", no_text, true),
            ("is_updatable", text(&|_| "NO".to_string()), true),
            ("comment", Arc::new(rows.iter().map(|row| row.comment.as_deref()).collect::<StringArray>()), true),
        ])?;
        Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
    }
}

/// `int4` for `integer`, `_int4` for an array of them.
fn internal_name(name: &str) -> String {
    if let Some(element) = name.strip_suffix("[]") {
        return format!("_{}", internal_name(element));
    }
    match name {
        "boolean" => "bool",
        "smallint" => "int2",
        "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        "time without time zone" => "time",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        other => other,
    }
    .to_string()
}

/// Precision, its radix, and scale, as PostgreSQL fills them.
fn numbers(data_type: &DataType) -> (Option<i32>, Option<i32>, Option<i32>) {
    match data_type {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => (Some(16), Some(2), Some(0)),
        DataType::UInt16 | DataType::Int32 => (Some(32), Some(2), Some(0)),
        DataType::UInt32 | DataType::Int64 => (Some(64), Some(2), Some(0)),
        DataType::UInt64 => (Some(20), Some(10), Some(0)),
        DataType::Float16 | DataType::Float32 => (Some(24), Some(2), None),
        DataType::Float64 => (Some(53), Some(2), None),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (Some(i32::from(*precision)), Some(10), Some(i32::from(*scale))),
        _ => (None, None, None),
    }
}

fn datetime_precision(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::Date32 | DataType::Date64 => Some(0),
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) | DataType::Interval(_) => Some(6),
        _ => None,
    }
}
