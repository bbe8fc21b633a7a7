//! The back ends that run models. One module each, and one line in `PROVIDERS`.

use arrow::array::ArrayRef;
use futures::future::BoxFuture;

use crate::{
    binding::Binding,
    error::Result,
    model::{InferOptions, Inferred},
};

/// Models as ONNX graphs, run in this process by ONNX Runtime.
pub mod onnx;

/// The names of the providers.
pub const PROVIDERS: &[&str] = &[onnx::NAME];

/// One open model as its back end holds it.
pub(crate) trait Provider: Send + Sync {
    fn device(&self) -> &str;

    fn resident_bytes(&self) -> u64;

    fn estimate_bytes(&self, request: &ArrayRef) -> usize;

    /// See `Model::infer`; `binding` belongs to the request's type.
    fn infer<'a>(
        &'a self,
        request: ArrayRef,
        binding: Binding,
        options: &'a InferOptions,
    ) -> BoxFuture<'a, Result<Inferred>>;
}
