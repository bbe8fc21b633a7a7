//! `system.views`: the views of users and the SQL they are made of.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;

use super::SystemTable;
use crate::catalog::{Catalog, ViewEntry};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("oid", DataType::Int64, false),
        Field::new("schema", DataType::Utf8, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("definition", DataType::Utf8, false),
        Field::new("comment", DataType::Utf8, true),
    ]))
});

#[derive(Debug)]
pub(super) struct ViewsTable {
    catalog: Arc<Catalog>,
}

impl ViewsTable {
    pub(super) fn new(catalog: Arc<Catalog>) -> ViewsTable {
        ViewsTable { catalog }
    }
}

impl SystemTable for ViewsTable {
    fn name(&self) -> &'static str {
        "views"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn rows(&self) -> Result<RecordBatch> {
        let snapshot = self.catalog.snapshot();
        let views: Vec<&Arc<ViewEntry>> = snapshot.views().collect();
        let text = |value: fn(&ViewEntry) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(views.iter().map(|view| value(view))))
        };
        let oid = Int64Array::from_iter_values(views.iter().map(|view| view.oid.into()));
        let comment: StringArray = views.iter().map(|view| snapshot.comment(view.oid, "")).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(oid),
            text(|view| &view.schema),
            text(|view| &view.name),
            text(|view| &view.query),
            Arc::new(comment),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}
