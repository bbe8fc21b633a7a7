//! `system.inference_usage`: what each query asked of each model, oldest row first. The log keeps the newest rows.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::Result;

use super::SystemTable;
use crate::inference::{UsageLog, UsageRow};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let count = |name: &str| Field::new(name, DataType::Int64, false);
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let milliseconds = |name: &str| Field::new(name, DataType::Float64, false);
    Arc::new(Schema::new(vec![
        count("query_id"),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        text("user"),
        text("model"),
        text("sha256"),
        text("device"),
        count("rows"),
        count("distinct_rows"),
        count("runs"),
        count("input_tokens"),
        count("padded_tokens"),
        count("truncated_rows"),
        count("errors"),
        milliseconds("queue_ms"),
        milliseconds("run_ms"),
    ]))
});

#[derive(Debug)]
pub(super) struct InferenceUsageTable {
    usage: Arc<UsageLog>,
}

impl InferenceUsageTable {
    pub(super) fn new(usage: Arc<UsageLog>) -> InferenceUsageTable {
        InferenceUsageTable { usage }
    }
}

impl SystemTable for InferenceUsageTable {
    fn name(&self) -> &'static str {
        "inference_usage"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn rows(&self) -> Result<RecordBatch> {
        let rows = self.usage.rows();
        let counts = |value: fn(&UsageRow) -> u64| -> ArrayRef {
            let values = rows.iter().map(|row| i64::try_from(value(row)).unwrap_or(i64::MAX));
            Arc::new(Int64Array::from_iter_values(values))
        };
        let texts = |value: fn(&UsageRow) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
        };
        let milliseconds = |value: fn(&UsageRow) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(value)))
        };
        let at = rows.iter().map(|row| row.at.timestamp_micros());
        let columns: Vec<ArrayRef> = vec![
            counts(|row| row.query_id),
            Arc::new(TimestampMicrosecondArray::from_iter_values(at).with_timezone("UTC")),
            texts(|row| &row.user),
            texts(|row| &row.model),
            texts(|row| &row.sha256),
            texts(|row| &row.device),
            counts(|row| row.rows),
            counts(|row| row.distinct_rows),
            counts(|row| row.runs),
            counts(|row| row.input_tokens),
            counts(|row| row.padded_tokens),
            counts(|row| row.truncated_rows),
            counts(|row| row.errors),
            milliseconds(|row| row.queue_ms),
            milliseconds(|row| row.run_ms),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}
