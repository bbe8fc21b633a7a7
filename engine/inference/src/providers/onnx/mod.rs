//! ONNX graphs in this process. The path of a request: `graph` or `text` cuts it into micro-batches, `drive` keeps a
//! few of them in flight, `columns` turns rows into tensors, `scheduler` runs them, `outputs` and `pooling` read them.

use std::{path::Path, sync::Arc};

use arrow::array::{Array, ArrayRef};
use futures::future::{BoxFuture, FutureExt};

use crate::{
    binding::Binding,
    error::{Error, Result},
    model::{InferOptions, Inferred},
    options::ModelOptions,
    providers::Provider,
    spec::{Kind, ModelSpec},
};

/// The process-wide runtime and the models it holds open.
pub mod runtime;
/// Sessions and devices.
mod session;

/// Reading a model's files.
mod folder;
/// Reading a graph's inputs and outputs.
mod inspect;
/// The data files an ONNX file refers to.
mod external;
/// Reading a text model's folder, as sentence-transformers and Hugging Face write it.
mod text_folder;

/// Requests over columns.
mod graph;
/// Requests of text.
mod text;
/// Text to token ids.
mod tokenizer;
/// Micro-batches in flight, and what happens when one fails.
mod drive;
/// Rows of a request to tensors.
mod columns;
/// The casts on that way, and the rows that don't survive them.
mod casts;
/// One thread per session, a bounded queue, turns among queries.
mod scheduler;
/// Tensors to result columns.
mod outputs;
/// Token vectors to text vectors, logits to scores.
mod pooling;

#[cfg(test)]
mod tests;

pub const NAME: &str = "onnx";

/// Padded tokens of one micro-batch on a processor: enough rows to fill its cores, few enough to stay in its caches.
const BATCH_TOKENS_CPU: usize = 2_048;
/// The same on a GPU, which needs far more work at once.
const BATCH_TOKENS_GPU: usize = 32_768;

/// A model open in ONNX Runtime.
pub(crate) struct OnnxModel {
    spec: Arc<ModelSpec>,
    device: String,
    scheduler: scheduler::Scheduler,
    body: Body,
}

enum Body {
    Graph(graph::GraphRunner),
    Text(Arc<text::TextRunner>),
}

impl OnnxModel {
    pub(crate) fn open(
        runtime: &runtime::Runtime,
        path: &Path,
        spec: &ModelSpec,
        options: &ModelOptions,
    ) -> Result<OnnxModel> {
        let graph = folder::graph_path(path, spec);
        if !graph.is_file() {
            let reason = format!("the file \"{}\" does not exist", graph.display());
            return Err(Error::ModelMissing { path: path.into(), reason });
        }
        let opened = session::open(runtime.environment(), &graph, options.device)?;
        let spec = Arc::new(spec.clone());
        let body = match spec.kind {
            Kind::Graph => Body::Graph(graph::GraphRunner::new(Arc::clone(&spec), options)),
            Kind::Encoder | Kind::Classifier => {
                let batch_tokens = options.batch_tokens.unwrap_or(match opened.device.as_str() {
                    "cpu" => BATCH_TOKENS_CPU,
                    _ => BATCH_TOKENS_GPU,
                });
                let inputs = inspect::ports(opened.session.inputs(), path)?;
                Body::Text(Arc::new(text::TextRunner::open(path, &spec, options, &inputs, batch_tokens)?))
            }
        };
        let scheduler = scheduler::Scheduler::start(opened.session)?;
        Ok(OnnxModel { spec, device: opened.device, scheduler, body })
    }
}

impl Provider for OnnxModel {
    fn device(&self) -> &str {
        &self.device
    }

    fn resident_bytes(&self) -> u64 {
        // Weights, once more for those that the kernels keep in a packed layout.
        self.spec.size_bytes.saturating_mul(2)
    }

    fn estimate_bytes(&self, request: &ArrayRef) -> usize {
        match &self.body {
            Body::Graph(runner) => runner.estimate_bytes(request.len()),
            Body::Text(runner) => runner.estimate_bytes(request),
        }
    }

    fn infer<'a>(
        &'a self,
        request: ArrayRef,
        binding: Binding,
        options: &'a InferOptions,
    ) -> BoxFuture<'a, Result<Inferred>> {
        match &self.body {
            Body::Graph(runner) => runner.infer(&self.scheduler, request, binding, options).boxed(),
            Body::Text(runner) => text::infer(runner, &self.scheduler, request, binding, options).boxed(),
        }
    }
}

/// ONNX Runtime's message without the prefix that every one of them has.
pub(crate) fn message_of<R>(error: &ort::Error<R>) -> String {
    error.message().trim().to_string()
}
