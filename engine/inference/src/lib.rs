//! Models inside the engine: reading them, holding them, running them over Arrow arrays.
//!
//! The pipeline, in reading order. Nothing here knows SQL or a query plan: a request comes in as one Arrow array, the
//! answer leaves as one Arrow array of the same length and order.

/// What a user may ask for in `CREATE MODEL ... WITH (...)`.
pub mod options;
/// What a model says about itself: inputs, outputs, kind, tokenizer, size.
pub mod spec;
/// Which field of a request feeds which input of a model.
pub mod binding;
/// An open model and what a run over it yields.
pub mod model;
/// The back ends that run models.
pub mod providers;
/// The threads for work that is neither waiting nor a model's run.
mod cpu;
/// Errors, worded like PostgreSQL's.
pub mod error;

pub use binding::{Binding, Source};
pub use error::{Error, ErrorClass, Result, RowError};
pub use model::{InferOptions, Inferred, Model, RunStats};
pub use options::{Device, ModelOptions, Pooling};
pub use providers::onnx::runtime::{DeviceInfo, Runtime};
pub use spec::{Activation, Element, Kind, ModelSpec, Port};
