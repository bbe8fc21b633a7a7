//! `ai_query`: any model on any request.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{Result, internal_err};
use datafusion_expr::{ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature};

use super::call::ModelFunction;
use super::port::ModelPort;
use super::{Stub, not_lifted};
use crate::declaration::{Argument, ArgumentKind, DocumentedExample, Family, FunctionDoc, Needs};

pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "ai_query",
    aliases: &[],
    family: Family::Model,
    syntax: &[
        "ai_query(endpoint, request)",
        "ai_query(endpoint, request, returnType => 'STRUCT<label: STRING, score: DOUBLE>')",
        "ai_query(endpoint, request, failOnError => false)",
    ],
    description: "Runs a model on each row and returns its output: the type of the model's one output, or a STRUCT of \
                  several. A STRUCT request is matched to the model's inputs by field name, with safe casts; a field \
                  too many or too few is an error that lists both sides. A NULL request gives NULL.\n\n\
                  With `failOnError => false` a row that fails does not fail the statement, and the result is a \
                  STRUCT of `result`, `errorMessage`, `errorClass`, `attempts`, `latencyMs`, `inputTokens`, \
                  `outputTokens`, `truncated` and `cached`.",
    arguments: &[
        Argument {
            name: "endpoint",
            kind: ArgumentKind::Text,
            optional: false,
            description: "The name of a model, as a literal.",
        },
        Argument {
            name: "request",
            kind: ArgumentKind::Any,
            optional: false,
            description: "What the model is given: a text, a number, or a STRUCT with one field per input.",
        },
        Argument {
            name: "returnType",
            kind: ArgumentKind::Text,
            optional: true,
            description: "The type to cast the result to, as a literal in DDL: `FLOAT`, `ARRAY<DOUBLE>`, `STRUCT<a: \
                          STRING, b: INT>`.",
        },
        Argument {
            name: "failOnError",
            kind: ArgumentKind::Boolean,
            optional: true,
            description: "Whether a row that fails fails the statement, as a literal; true by default.",
        },
    ],
    returns: "the model's output",
    examples: &[
        DocumentedExample {
            sql: "SELECT id, ai_query('churn', named_struct('age', age, 'plan', plan)) AS score FROM customers",
            expected: None,
            needs: Needs::OwnModel,
        },
        DocumentedExample {
            sql: "SELECT id, ai_query('sentiment', body, failOnError => false) AS answer FROM reviews",
            expected: None,
            needs: Needs::OwnModel,
        },
    ],
    source: "Databricks' `ai_query`",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AiQuery {
    stub: Stub,
}

impl AiQuery {
    pub(crate) fn new(models: Arc<dyn ModelPort>) -> Self {
        Self { stub: Stub::new(&DOC, models) }
    }

    pub(super) fn models(&self) -> &dyn ModelPort {
        self.stub.models.as_ref()
    }
}

impl ScalarUDFImpl for AiQuery {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.stub.declaration.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of ai_query depends on its literals")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.stub.return_field(ModelFunction::AiQuery, &arguments)
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        not_lifted(DOC.name)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.stub.declaration.documentation)
    }
}
