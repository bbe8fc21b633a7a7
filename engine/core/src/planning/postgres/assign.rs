//! A value on its way into a column: in the column's type, by the rules that rows of INSERT follow. Values of several
//! sources that meet in one column have its type before they meet, so that none is bent to the type of another.

use std::hash::{Hash, Hasher};

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, expr::Placeholder};

use super::{Operation, call};
use crate::error::Error;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Assign {
    field: FieldRef,
}

/// `value` in the type of the column. A bare parameter gets the column's type.
pub(crate) fn assigned(value: Expr, column: &FieldRef) -> Expr {
    match value {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Field::new(column.name(), column.data_type().clone(), true);
            assigned(Expr::Placeholder(Placeholder::new_with_field(id, Some(field.into()))), column)
        }
        value => call(Assign { field: FieldRef::clone(column) }, vec![value]),
    }
}

impl Hash for Assign {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.field.name(), self.field.data_type()).hash(state);
    }
}

impl Operation for Assign {
    fn name(&self) -> &'static str {
        "assign"
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn apply(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        let [values] = arguments else { return Err(Error::internal("an assignment takes one value").into()) };
        alluvia_lake::stored(values, &self.field).map_err(|error| Error::from(error).into())
    }
}
