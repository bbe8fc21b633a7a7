//! `cosine_distance`: one minus the cosine of the angle between two vectors.

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{PAIR, measure, pairwise};
use crate::declaration::{Declaration, DocumentedExample, Family, FunctionDoc, Needs};

pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "cosine_distance",
    aliases: &[],
    family: Family::Vector,
    syntax: &["cosine_distance(left, right)"],
    description: "One minus the cosine of the angle between two vectors: 0 for one direction, 1 for perpendicular, 2 \
                  for opposite. The zero vector has no direction: NaN, which sorts last.",
    arguments: PAIR,
    returns: "DOUBLE PRECISION",
    examples: &[
        DocumentedExample {
            sql: "SELECT cosine_distance(ARRAY[1, 0], ARRAY[0, 2])",
            expected: Some("1"),
            needs: Needs::Nothing,
        },
        DocumentedExample {
            sql: "SELECT cosine_distance(ARRAY[3, 4], ARRAY[6, 8])",
            expected: Some("0"),
            needs: Needs::Nothing,
        },
        DocumentedExample {
            sql: "SELECT cosine_distance(ARRAY[1, 2], ARRAY[0, 0])",
            expected: Some("NaN"),
            needs: Needs::Nothing,
        },
    ],
    source: "pgvector's `cosine_distance`",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CosineDistance {
    declaration: Declaration,
}

impl CosineDistance {
    pub(crate) fn new() -> Self {
        Self { declaration: Declaration::new(&DOC, Signature::any(2, Volatility::Immutable)) }
    }
}

impl ScalarUDFImpl for CosineDistance {
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
        pairwise::measured::<measure::CosineDistance>(DOC.name, &arguments)
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
        let function = CosineDistance::new().into();
        assert_eq!(one_of(&function, &[1.0, 2.0], &[2.0, 4.0]), 0.0);
        assert_eq!(one_of(&function, &[1.0, 1.0], &[-1.0, -1.0]), 2.0);
        assert_eq!(one_of(&function, &[1.0, 0.0], &[0.0, 5.0]), 1.0);
        assert!(one_of(&function, &[1.0, 2.0], &[0.0, 0.0]).is_nan());
    }
}
