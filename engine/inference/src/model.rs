//! An open model, whichever provider runs it, and what a run over it yields.

use std::sync::Arc;

use arrow::array::ArrayRef;

use crate::{
    error::{Result, RowError},
    providers::Provider,
    spec::ModelSpec,
};

/// A model that is ready to run. All queries that use it share it, and with it one scheduler.
pub struct Model {
    spec: Arc<ModelSpec>,
    sha256: String,
    provider: Box<dyn Provider>,
}

/// How one call is to be run.
#[derive(Debug, Clone, Default)]
pub struct InferOptions {
    /// Whether the first failing row ends the call, rather than being reported beside the others' results.
    pub fail_on_error: bool,
    /// Calls of one query take turns with those of other queries, not with each other.
    pub query_id: u64,
}

#[derive(Debug)]
pub struct Inferred {
    /// `request.len()` results in the request's order, of `ModelSpec::output_type`. NULL for a NULL row and for a row
    /// that failed.
    pub values: ArrayRef,
    /// Failed rows in ascending order; empty when `fail_on_error` was set.
    pub errors: Vec<(usize, RowError)>,
    /// Tokens of each row, special tokens included; text models only.
    pub input_tokens: Option<Vec<u32>>,
    /// Whether the tokenizer had to cut the row; text models only.
    pub truncated: Option<Vec<bool>>,
    pub stats: RunStats,
}

/// What one call cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunStats {
    /// Runs of the model's graph.
    pub runs: u64,
    pub input_tokens: u64,
    /// Token slots computed, padding included.
    pub padded_tokens: u64,
    pub truncated_rows: u64,
    pub errors: u64,
    /// Time in which the call had work waiting and the model was busy with others, in milliseconds.
    pub queue_ms: f64,
    /// Time inside the model's runs, in milliseconds.
    pub run_ms: f64,
}

impl Model {
    pub(crate) fn new(spec: ModelSpec, sha256: &str, provider: Box<dyn Provider>) -> Arc<Model> {
        Arc::new(Model { spec: Arc::new(spec), sha256: sha256.into(), provider })
    }

    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The device the model runs on: `cpu`, `cuda:0`. For `auto`, the one it took.
    pub fn device(&self) -> &str {
        self.provider.device()
    }

    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// An estimate of the memory the open model holds between runs, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.provider.resident_bytes()
    }

    /// Runs the model over `request`, any number of rows. A NULL row is never sent and yields NULL. The caller removes
    /// duplicates. Dropping the future takes its work out of the queue and terminates a run in progress.
    ///
    /// # Errors
    /// `RequestFields` or `RequestType` where the request doesn't fit; with `fail_on_error`, `RowFailed` for the first
    /// row whose values can't be sent and `RunFailed` where the graph fails.
    pub async fn infer(&self, request: ArrayRef, options: &InferOptions) -> Result<Inferred> {
        let binding = self.spec.bind(request.data_type())?;
        self.provider.infer(request, binding, options).await
    }

    /// An upper estimate of the memory that `infer` of this request holds at once, in bytes.
    pub fn estimate_bytes(&self, request: &ArrayRef) -> usize {
        self.provider.estimate_bytes(request)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Model").field("sha256", &self.sha256).field("device", &self.device()).finish_non_exhaustive()
    }
}
