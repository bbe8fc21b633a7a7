//! `version`: which PostgreSQL the server speaks as, and which Alluvia it is.

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::declaration::{Declaration, DocumentedExample, Family, FunctionDoc, Needs};

/// The release of PostgreSQL whose dialect and protocol clients may expect; also the parameter `server_version`.
pub const POSTGRESQL_VERSION: &str = "16.6";

/// The text of `version()`. SQLAlchemy and others read the number after the word PostgreSQL.
pub fn version_text() -> String {
    format!("PostgreSQL {POSTGRESQL_VERSION} (Alluvia {})", env!("CARGO_PKG_VERSION"))
}

pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "version",
    aliases: &[],
    family: Family::PostgreSql,
    syntax: &["version()"],
    description: "The release of PostgreSQL that clients may expect, and the version of Alluvia.",
    arguments: &[],
    returns: "TEXT",
    examples: &[DocumentedExample {
        sql: "SELECT starts_with(version(), 'PostgreSQL 16')",
        expected: Some("t"),
        needs: Needs::Nothing,
    }],
    source: "PostgreSQL's `version`",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    declaration: Declaration,
}

impl Version {
    pub(crate) fn new() -> Self {
        Self { declaration: Declaration::new(&DOC, Signature::nullary(Volatility::Immutable)) }
    }
}

impl ScalarUDFImpl for Version {
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

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(version_text()))))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.declaration.documentation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::invoke;

    #[test]
    fn names_postgresql_and_alluvia() {
        let found = invoke(&Version::new().into(), vec![]).unwrap().to_string();
        assert!(found.contains("PostgreSQL 16.6 (Alluvia "), "{found}");
    }
}
