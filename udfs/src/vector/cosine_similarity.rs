//! `cosine_similarity`: the cosine of the angle between two vectors.

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{PAIR, measure, pairwise};
use crate::declaration::{Declaration, DocumentedExample, Family, FunctionDoc, Needs};

pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "cosine_similarity",
    aliases: &["vector_cosine_similarity", "array_cosine_similarity", "list_cosine_similarity"],
    family: Family::Vector,
    syntax: &["cosine_similarity(left, right)"],
    description: "The cosine of the angle between two vectors, from -1 (opposite) to 1 (one direction). The zero \
                  vector has no direction: NaN.",
    arguments: PAIR,
    returns: "DOUBLE PRECISION",
    examples: &[
        DocumentedExample {
            sql: "SELECT cosine_similarity(ARRAY[3, 4], ARRAY[6, 8])",
            expected: Some("1"),
            needs: Needs::Nothing,
        },
        DocumentedExample {
            sql: "SELECT round(cosine_similarity(ARRAY[1, 2, 3], ARRAY[4, 5, 6]), 4)",
            expected: Some("0.9746"),
            needs: Needs::Nothing,
        },
    ],
    source: "`1 - cosine_distance` of pgvector; the first alias is Spark's, the others are DuckDB's",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CosineSimilarity {
    declaration: Declaration,
}

impl CosineSimilarity {
    pub(crate) fn new() -> Self {
        Self { declaration: Declaration::new(&DOC, Signature::any(2, Volatility::Immutable)) }
    }
}

impl ScalarUDFImpl for CosineSimilarity {
    fn name(&self) -> &str {
        DOC.name
    }

    fn aliases(&self) -> &[String] {
        &self.declaration.aliases
    }

    fn signature(&self) -> &Signature {
        &self.declaration.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        pairwise::return_type(DOC.name, arguments)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        pairwise::measured::<measure::CosineSimilarity>(DOC.name, &arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.declaration.documentation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::one_of;

    #[test]
    fn follows_the_definition() {
        let function = CosineSimilarity::new().into();
        assert_eq!(one_of(&function, &[3.0, 4.0], &[6.0, 8.0]), 1.0);
        assert_eq!(one_of(&function, &[1.0, 1.0], &[-1.0, -1.0]), -1.0);
        assert_eq!(one_of(&function, &[1.0, 0.0], &[0.0, 5.0]), 0.0);
        assert!(one_of(&function, &[0.0], &[1.0]).is_nan());
    }
}
