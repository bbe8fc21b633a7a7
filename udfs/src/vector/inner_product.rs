//! `inner_product`: the sum of the products of the elements of two vectors.

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{PAIR, measure, pairwise};
use crate::declaration::{Declaration, DocumentedExample, Family, FunctionDoc, Needs};

pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "inner_product",
    aliases: &["dot_product", "vector_inner_product", "array_inner_product", "list_inner_product"],
    family: Family::Vector,
    syntax: &["inner_product(left, right)"],
    description: "The sum of the products of the elements, also called dot product. For vectors of length 1 it equals \
                  `cosine_similarity` and costs less.",
    arguments: PAIR,
    returns: "DOUBLE PRECISION",
    examples: &[DocumentedExample {
        sql: "SELECT inner_product(ARRAY[1, 2, 3], ARRAY[4, 5, 6])",
        expected: Some("32"),
        needs: Needs::Nothing,
    }],
    source: "pgvector's `inner_product`; the aliases are those of DataFusion, Spark and DuckDB",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct InnerProduct {
    declaration: Declaration,
}

impl InnerProduct {
    pub(crate) fn new() -> Self {
        Self { declaration: Declaration::new(&DOC, Signature::any(2, Volatility::Immutable)) }
    }
}

impl ScalarUDFImpl for InnerProduct {
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
        pairwise::measured::<measure::InnerProduct>(DOC.name, &arguments)
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
        let function = InnerProduct::new().into();
        assert_eq!(one_of(&function, &[1.0, 2.0], &[3.0, 4.0]), 11.0);
        assert_eq!(one_of(&function, &[1.0, 0.0], &[0.0, 5.0]), 0.0);
        assert_eq!(one_of(&function, &[], &[]), 0.0);
    }
}
