//! `system.schemas`: the schemas of users.

use std::sync::{Arc, LazyLock};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;

use super::SystemTable;
use crate::catalog::Catalog;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("oid", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("tables", DataType::Int64, false),
    ]))
});

#[derive(Debug)]
pub(super) struct SchemasTable {
    catalog: Arc<Catalog>,
}

impl SchemasTable {
    pub(super) fn new(catalog: Arc<Catalog>) -> SchemasTable {
        SchemasTable { catalog }
    }
}

impl SystemTable for SchemasTable {
    fn name(&self) -> &'static str {
        "schemas"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn rows(&self) -> Result<RecordBatch> {
        let snapshot = self.catalog.snapshot();
        let schemas = snapshot.schemas.values();
        let oid = Int64Array::from_iter_values(schemas.clone().map(|schema| schema.oid.into()));
        let name = StringArray::from_iter_values(schemas.clone().map(|schema| &schema.name));
        let tables =
            Int64Array::from_iter_values(schemas.map(|schema| i64::try_from(schema.tables.len()).unwrap_or(i64::MAX)));
        Ok(RecordBatch::try_new(self.schema(), vec![Arc::new(oid), Arc::new(name), Arc::new(tables)])?)
    }
}
