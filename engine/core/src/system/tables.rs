//! `system.tables`: the tables of users and where their files lie.

use std::sync::{Arc, LazyLock};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;

use super::SystemTable;
use crate::catalog::{Catalog, TableEntry, format_name};

/// Reader options are left out: they may carry credentials.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("oid", DataType::Int64, false),
        Field::new("schema", DataType::Utf8, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("format", DataType::Utf8, false),
        Field::new("location", DataType::Utf8, false),
    ]))
});

#[derive(Debug)]
pub(super) struct TablesTable {
    catalog: Arc<Catalog>,
}

impl TablesTable {
    pub(super) fn new(catalog: Arc<Catalog>) -> TablesTable {
        TablesTable { catalog }
    }
}

impl SystemTable for TablesTable {
    fn name(&self) -> &'static str {
        "tables"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn rows(&self) -> Result<RecordBatch> {
        let snapshot = self.catalog.snapshot();
        let tables: Vec<&TableEntry> = snapshot.tables().collect();
        let text = |value: fn(&TableEntry) -> &str| {
            Arc::new(StringArray::from_iter_values(tables.iter().map(|table| value(table))))
        };
        let oid = Int64Array::from_iter_values(tables.iter().map(|table| table.oid.into()));
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(oid),
            text(|table| &table.schema),
            text(|table| &table.name),
            text(|table| table.kind.name()),
            text(|table| format_name(table.kind.format())),
            text(|table| table.location.as_str()),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}
