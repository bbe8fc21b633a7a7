//! What model functions ask of the engine to know their types.

use std::fmt::Debug;

use arrow::datatypes::DataType;
use datafusion_common::Result;

/// Answers from one statement's snapshot of the catalog.
pub trait ModelPort: Send + Sync + Debug {
    /// The type of what `model` returns for one row: the single output's type, or a struct of several. An error where
    /// there is no such model.
    fn output_type(&self, model: &str) -> Result<DataType>;

    /// The model that `embed` uses when none is named. An error where none is set up.
    fn default_embedding(&self) -> Result<String>;
}
