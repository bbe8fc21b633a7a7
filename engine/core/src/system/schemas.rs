//! `system.schemas`: the schemas of users.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;

use super::SystemTable;
use crate::catalog::Catalog;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("oid", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("tables", DataType::Int64, false),
        Field::new("views", DataType::Int64, false),
        Field::new("comment", DataType::Utf8, true),
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
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let tables = Int64Array::from_iter_values(schemas.clone().map(|schema| count(schema.tables.len())));
        let views = Int64Array::from_iter_values(schemas.clone().map(|schema| count(schema.views.len())));
        let comment: StringArray = schemas.map(|schema| snapshot.comment(schema.oid, "")).collect();
        let columns: Vec<ArrayRef> =
            vec![Arc::new(oid), Arc::new(name), Arc::new(tables), Arc::new(views), Arc::new(comment)];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}
