//! A condition that rows must meet: a row for which it isn't true fails the statement.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, cast};

use super::{Operation, call};
use crate::error::{Error, Kind};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Demand {
    message: String,
    detail: String,
}

/// `condition`, true in every row that there is; an error with these words instead of false and NULL.
pub(crate) fn demanded(condition: Expr, message: String, detail: String) -> Expr {
    call(Demand { message, detail }, vec![cast(condition, DataType::Boolean)])
}

impl Operation for Demand {
    fn name(&self) -> &'static str {
        "demand"
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn apply(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        let condition = arguments.first().and_then(|argument| argument.as_boolean_opt());
        let condition = condition.ok_or_else(|| Error::internal("a demand takes one condition"))?;
        if condition.null_count() > 0 || condition.true_count() < condition.len() {
            let error = Error::new(Kind::CheckViolation, self.message.clone());
            return Err(error.with_detail(self.detail.clone()).into());
        }
        Ok(Arc::new(BooleanArray::from(vec![true; condition.len()])))
    }
}
