//! `l2_distance`: the Euclidean distance between two vectors.

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{PAIR, measure, pairwise};
use crate::declaration::{Declaration, DocumentedExample, Family, FunctionDoc, Needs};

pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "l2_distance",
    aliases: &["vector_l2_distance", "array_distance", "list_distance"],
    family: Family::Vector,
    syntax: &["l2_distance(left, right)"],
    description: "The Euclidean distance between two vectors.",
    arguments: PAIR,
    returns: "DOUBLE PRECISION",
    examples: &[DocumentedExample {
        sql: "SELECT l2_distance(ARRAY[0, 0], ARRAY[3, 4])",
        expected: Some("5"),
        needs: Needs::Nothing,
    }],
    source: "pgvector's `l2_distance`; the aliases are those of Spark and DuckDB",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct L2Distance {
    declaration: Declaration,
}

impl L2Distance {
    pub(crate) fn new() -> Self {
        Self { declaration: Declaration::new(&DOC, Signature::any(2, Volatility::Immutable)) }
    }
}

impl ScalarUDFImpl for L2Distance {
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
        pairwise::measured::<measure::L2Distance>(DOC.name, &arguments)
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
        let function = L2Distance::new().into();
        assert_eq!(one_of(&function, &[0.0, 0.0], &[3.0, 4.0]), 5.0);
        assert_eq!(one_of(&function, &[1.5], &[1.5]), 0.0);
        assert_eq!(one_of(&function, &[], &[]), 0.0);
    }
}
