//! `embed`: the embedding of a text.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{Result, internal_err};
use datafusion_expr::{ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature};

use super::call::ModelFunction;
use super::port::ModelPort;
use super::{Stub, not_lifted};
use crate::declaration::{Argument, ArgumentKind, DocumentedExample, Family, FunctionDoc, Needs};

pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "embed",
    aliases: &[],
    family: Family::Model,
    syntax: &["embed(text)", "embed(text, model)"],
    description: "The embedding of a text: a vector whose direction stands for its meaning, so that texts of like \
                  meaning have a small `cosine_distance`. A NULL text gives NULL.",
    arguments: &[
        Argument { name: "text", kind: ArgumentKind::Text, optional: false, description: "The text to embed." },
        Argument {
            name: "model",
            kind: ArgumentKind::Text,
            optional: true,
            description: "The name of an embedding model, as a literal; the server's default without it.",
        },
    ],
    returns: "FLOAT[]",
    examples: &[
        DocumentedExample {
            sql: "SELECT cosine_distance(embed('a kitten'), embed('a young cat')) < cosine_distance(embed('a \
                  kitten'), embed('a tax return'))",
            expected: Some("t"),
            needs: Needs::EmbeddingModel,
        },
        DocumentedExample {
            sql: "SELECT title FROM pages ORDER BY cosine_distance(embed(body), embed('how do I round a number \
                  down')) LIMIT 5",
            expected: None,
            needs: Needs::OwnModel,
        },
    ],
    source: "Spice's `embed`",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Embed {
    stub: Stub,
}

impl Embed {
    pub(crate) fn new(models: Arc<dyn ModelPort>) -> Self {
        Self { stub: Stub::new(&DOC, models) }
    }

    pub(super) fn models(&self) -> &dyn ModelPort {
        self.stub.models.as_ref()
    }
}

impl ScalarUDFImpl for Embed {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.stub.declaration.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of embed depends on its literals")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.stub.return_field(ModelFunction::Embed, &arguments)
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        not_lifted(DOC.name)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.stub.declaration.documentation)
    }
}
