//! `system.secrets`: which secrets there are and what they open, never what they hold.

use std::sync::{Arc, LazyLock};

use arrow::array::{RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::{DataFusionError, Result};

use super::SystemTable;
use crate::catalog::Catalog;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![
        text("name"),
        text("type"),
        text("provider"),
        // The beginning of the URLs that it opens; empty for all of its type.
        text("scope"),
        // A JSON object; in the place of a secret value stands the word redacted.
        text("options"),
        text("owner"),
        Field::new("created_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ]))
});

#[derive(Debug)]
pub(super) struct SecretsTable {
    catalog: Arc<Catalog>,
}

impl SecretsTable {
    pub(super) fn new(catalog: Arc<Catalog>) -> SecretsTable {
        SecretsTable { catalog }
    }
}

impl SystemTable for SecretsTable {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn rows(&self) -> Result<RecordBatch> {
        let snapshot = self.catalog.snapshot();
        let secrets = snapshot.secrets.values();
        let json = |error: serde_json::Error| DataFusionError::External(error.into());
        let mut options = Vec::with_capacity(snapshot.secrets.len());
        for secret in secrets.clone() {
            let mut shown = secret.shown.clone();
            shown.remove("provider");
            options.push(serde_json::to_string(&shown).map_err(json)?);
        }
        let provider = |shown: &std::collections::BTreeMap<String, String>| {
            shown.get("provider").cloned().unwrap_or_else(|| "config".to_owned())
        };
        let created_at = secrets.clone().map(|secret| secret.created_at.timestamp_micros());
        Ok(RecordBatch::try_new(
            self.schema(),
            vec![
                Arc::new(StringArray::from_iter_values(secrets.clone().map(|secret| &secret.name))),
                Arc::new(StringArray::from_iter_values(secrets.clone().map(|secret| secret.kind.name()))),
                Arc::new(StringArray::from_iter_values(secrets.clone().map(|secret| provider(&secret.shown)))),
                Arc::new(StringArray::from_iter_values(secrets.clone().map(|secret| &secret.scope))),
                Arc::new(StringArray::from(options)),
                Arc::new(StringArray::from_iter_values(secrets.map(|secret| &secret.owner))),
                Arc::new(TimestampMicrosecondArray::from_iter_values(created_at).with_timezone("UTC")),
            ],
        )?)
    }
}
