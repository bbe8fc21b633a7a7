//! Calls to models: names, types and documentation. Nothing here computes; see [`ModelPort`] for what is asked of
//! the engine and [`parse_call`] for how its planner recognises a call.

/// What these functions ask of the engine.
mod port;

/// A recognised call.
mod call;
/// Types written as text: `STRUCT<label: STRING, score: DOUBLE>`.
pub mod ddl_type;
/// What `failOnError => false` returns.
mod error_struct;
/// The arguments that decide a call's type.
mod literals;

mod ai_query;
mod embed;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion_common::{Result, internal_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarUDF, Signature, Volatility};

pub use call::{ModelCall, ModelFunction, parse_call};
pub use ddl_type::parse_ddl_type;
pub use error_struct::{RESULT_FIELD, RESULT_FIELD_ALIAS, error_struct};
pub use port::ModelPort;

use crate::declaration::{Declaration, FunctionDoc};

pub(crate) const DOCS: &[&FunctionDoc] = &[&ai_query::DOC, &embed::DOC];

pub(crate) fn functions(models: Arc<dyn ModelPort>) -> Vec<ScalarUDF> {
    vec![ai_query::AiQuery::new(Arc::clone(&models)).into(), embed::Embed::new(models).into()]
}

/// What every model function holds. Two are equal when they ask the same catalog snapshot.
#[derive(Debug)]
struct Stub {
    declaration: Declaration,
    models: Arc<dyn ModelPort>,
}

impl Stub {
    /// Volatile, so that no scan, no constant folding and no common-subexpression rule takes hold of a call before
    /// the planner has lifted it; and of any arguments, because DataFusion would report a mismatch in words of its own
    /// that carry no type. [`call::return_field`] checks them.
    fn new(doc: &FunctionDoc, models: Arc<dyn ModelPort>) -> Self {
        Self { declaration: Declaration::new(doc, Signature::variadic_any(Volatility::Volatile)), models }
    }

    fn return_field(&self, function: ModelFunction, arguments: &ReturnFieldArgs) -> Result<FieldRef> {
        call::return_field(function, self.models.as_ref(), arguments)
    }
}

impl PartialEq for Stub {
    fn eq(&self, other: &Self) -> bool {
        self.declaration == other.declaration && Arc::ptr_eq(&self.models, &other.models)
    }
}

impl Eq for Stub {}

impl Hash for Stub {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.declaration.hash(state);
    }
}

fn not_lifted(function: &str) -> Result<ColumnarValue> {
    internal_err!("a call of {function} was not lifted into a plan node")
}
