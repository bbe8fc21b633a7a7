//! `pg_typeof`: the PostgreSQL name of an expression's type.

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::utils::take_function_args;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::pg_type_name;
use crate::declaration::{Argument, ArgumentKind, Declaration, DocumentedExample, Family, FunctionDoc, Needs};

pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "pg_typeof",
    aliases: &[],
    family: Family::PostgreSql,
    syntax: &["pg_typeof(value)"],
    description: "PostgreSQL's name for the type of the argument. Never NULL, and the same for every row.",
    arguments: &[Argument { name: "value", kind: ArgumentKind::Any, optional: false, description: "Any expression." }],
    returns: "TEXT",
    examples: &[
        DocumentedExample { sql: "SELECT pg_typeof(1.5::real)", expected: Some("real"), needs: Needs::Nothing },
        DocumentedExample { sql: "SELECT pg_typeof(ARRAY['a', 'b'])", expected: Some("text[]"), needs: Needs::Nothing },
        DocumentedExample { sql: "SELECT pg_typeof(NULL)", expected: Some("unknown"), needs: Needs::Nothing },
    ],
    source: "PostgreSQL's `pg_typeof`, whose result there is a `regtype`",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct PgTypeof {
    declaration: Declaration,
}

impl PgTypeof {
    pub(crate) fn new() -> Self {
        Self { declaration: Declaration::new(&DOC, Signature::any(1, Volatility::Immutable)) }
    }
}

impl ScalarUDFImpl for PgTypeof {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.declaration.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Field::new(DOC.name, DataType::Utf8, false).into())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [field] = take_function_args(DOC.name, &arguments.arg_fields)?;
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(pg_type_name(field.data_type())))))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.declaration.documentation)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int32Array;

    use super::*;
    use crate::testing::invoke;

    #[test]
    fn names_the_type_of_columns_and_of_null() {
        let function = PgTypeof::new().into();
        let name = |argument| match invoke(&function, vec![argument]).unwrap() {
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(name))) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(ColumnarValue::Array(Arc::new(Int32Array::from(vec![1, 2])))), "integer");
        assert_eq!(name(ColumnarValue::Scalar(ScalarValue::Null)), "unknown");
        assert_eq!(name(ColumnarValue::Scalar(ScalarValue::Utf8(None))), "text");
    }
}
