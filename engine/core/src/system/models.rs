//! `system.models`: what is known of each model, without loading it.

use std::sync::{Arc, LazyLock};

use alluvia_inference::{Kind, ModelSpec, Port};
use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::Result;

use super::SystemTable;
use crate::catalog::{Catalog, ModelEntry};
use crate::models::{Models, Residence};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let text_or_null = |name: &str| Field::new(name, DataType::Utf8, true);
    let texts = |name: &str| Field::new(name, DataType::new_list(DataType::Utf8, true), true);
    Arc::new(Schema::new(vec![
        Field::new("oid", DataType::Int64, false),
        text("name"),
        text("sha256"),
        text("kind"),
        text("task"),
        // As asked for: cpu, cuda:0, auto.
        text("device"),
        // Where the model runs or ran last; NULL until this process opens it.
        text_or_null("device_used"),
        text("inputs"),
        text("outputs"),
        text_or_null("tokenizer"),
        text_or_null("pooling"),
        Field::new("normalize", DataType::Boolean, false),
        Field::new("dimension", DataType::Int32, true),
        Field::new("max_length", DataType::Int32, true),
        texts("labels"),
        texts("features"),
        Field::new("size_bytes", DataType::Int64, false),
        Field::new("resident_bytes", DataType::Int64, true),
        text("source"),
        text("owner"),
        Field::new("created_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ]))
});

#[derive(Debug)]
pub(super) struct ModelsTable {
    catalog: Arc<Catalog>,
    models: Arc<Models>,
}

impl ModelsTable {
    pub(super) fn new(catalog: Arc<Catalog>, models: Arc<Models>) -> ModelsTable {
        ModelsTable { catalog, models }
    }
}

impl SystemTable for ModelsTable {
    fn name(&self) -> &'static str {
        "models"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn rows(&self) -> Result<RecordBatch> {
        let snapshot = self.catalog.snapshot();
        let entries: Vec<&ModelEntry> = snapshot.models.values().map(Arc::as_ref).collect();
        let residences: Vec<Option<Residence>> = entries.iter().map(|entry| self.models.residence(entry)).collect();
        let device_used = residences.iter().map(|residence| residence.as_ref().map(|residence| &residence.device));
        let resident_bytes =
            residences.iter().map(|residence| residence.as_ref().and_then(|residence| residence.resident_bytes));
        let created_at = entries.iter().map(|entry| entry.created_at.timestamp_micros());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(entries.iter().map(|entry| entry.oid.into()))),
            texts(&entries, |entry| entry.name.clone()),
            texts(&entries, |entry| entry.sha256.clone()),
            texts(&entries, |entry| kind_name(entry.spec.kind).to_owned()),
            texts(&entries, |entry| entry.spec.task.clone()),
            texts(&entries, |entry| entry.options.device.to_string()),
            Arc::new(device_used.collect::<StringArray>()),
            texts(&entries, |entry| signature(&entry.spec.inputs)),
            texts(&entries, |entry| signature(&entry.spec.outputs)),
            texts_or_nulls(&entries, |spec| spec.tokenizer.clone()),
            texts_or_nulls(&entries, |spec| spec.pooling.map(|pooling| pooling.as_str().to_owned())),
            Arc::new(entries.iter().map(|entry| Some(entry.spec.normalize)).collect::<BooleanArray>()),
            sizes(&entries, |spec| spec.dimension),
            sizes(&entries, |spec| spec.max_length),
            lists(&entries, |spec| Some(spec.labels.as_slice()).filter(|labels| !labels.is_empty())),
            lists(&entries, |spec| spec.features.as_deref()),
            Arc::new(Int64Array::from_iter_values(entries.iter().map(|entry| count(entry.spec.size_bytes)))),
            Arc::new(resident_bytes.map(|bytes| bytes.map(count)).collect::<Int64Array>()),
            texts(&entries, |entry| entry.source.clone()),
            texts(&entries, |entry| entry.owner.clone()),
            Arc::new(TimestampMicrosecondArray::from_iter_values(created_at).with_timezone("UTC")),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

/// Inputs or outputs in SQL's words: `age FLOAT, city TEXT`.
fn signature(ports: &[Port]) -> String {
    let ports: Vec<String> = ports.iter().map(|port| format!("{} {}", port.name, port.sql_type())).collect();
    ports.join(", ")
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Graph => "graph",
        Kind::Encoder => "encoder",
        Kind::Classifier => "classifier",
    }
}

fn count(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn texts(entries: &[&ModelEntry], value: fn(&ModelEntry) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(entries.iter().map(|entry| value(entry))))
}

fn texts_or_nulls(entries: &[&ModelEntry], value: fn(&ModelSpec) -> Option<String>) -> ArrayRef {
    Arc::new(entries.iter().map(|entry| value(&entry.spec)).collect::<StringArray>())
}

fn sizes(entries: &[&ModelEntry], value: fn(&ModelSpec) -> Option<usize>) -> ArrayRef {
    let values = entries.iter().map(|entry| value(&entry.spec).and_then(|size| i32::try_from(size).ok()));
    Arc::new(values.collect::<Int32Array>())
}

fn lists(entries: &[&ModelEntry], value: fn(&ModelSpec) -> Option<&[String]>) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for entry in entries {
        match value(&entry.spec) {
            Some(values) => lists.append_value(values.iter().map(Some)),
            None => lists.append_null(),
        }
    }
    Arc::new(lists.finish())
}
