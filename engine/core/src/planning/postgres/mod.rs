//! PostgreSQL's meaning of an expression, where the planner's own differs: integers that overflow are errors, casts
//! round and read and write text as PostgreSQL does, numbers divide to enough digits.

/// Integer and floating-point arithmetic that fails rather than wraps.
mod arithmetic;
/// Values on their way into columns.
mod assign;
/// Conditions that rows must meet.
mod demand;
/// Numbers divided to PostgreSQL's number of digits.
mod divide;
/// `min` and `max` of floats, NaN among them.
mod extremes;
/// Intervals times numbers.
mod intervals;
/// Operators that the planner doesn't know, or reads otherwise.
mod operators;
/// Text to timestamps, dates, bytes and arrays.
mod parse;
/// The rule that puts all of these in place.
mod rule;
/// Rounding on the way to an integer.
mod round;
/// `sum` of integers that fails rather than wraps.
mod sum;
/// Values to text.
mod text;
/// `AT TIME ZONE`.
mod timezone;
/// Names of types.
mod types;

use std::any::Any;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(crate) use assign::assigned;
pub(crate) use demand::demanded;
pub(super) use extremes::extremes;
pub(super) use operators::Operators;
pub(super) use rule::{ArraysAsText, PostgresMeaning};
pub(super) use sum::checked_sum;
pub(super) use timezone::timezone;
pub(super) use types::Types;

/// One of our functions, told apart by what it does.
trait Operation: Any + Debug + PartialEq + Eq + Hash + Send + Sync + Clone + 'static {
    /// As EXPLAIN shows it.
    fn name(&self) -> &'static str;
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType>;
    /// Arguments come as arrays of one length.
    fn apply(&self, arguments: &[ArrayRef]) -> Result<ArrayRef>;
    /// The types that arguments are brought to.
    fn coerce(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function<O: Operation> {
    operation: O,
    signature: Signature,
}

impl<O: Operation> ScalarUDFImpl for Function<O> {
    fn name(&self) -> &str {
        self.operation.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.operation.return_type(arguments)
    }

    /// The planner builds this name again and again for each level of a nest, so it doesn't hold those of the levels
    /// below, but stands for them.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        (&self.operation, arguments).hash(&mut hasher);
        Ok(format!("{}({:016x})", self.name(), hasher.finish()))
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.operation.coerce(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { arguments.number_rows };
        let arrays = arguments.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = self.operation.apply(&arrays)?;
        if scalar {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

fn function<O: Operation>(operation: O) -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::new_from_impl(Function { operation, signature })
}

fn call<O: Operation>(operation: O, arguments: Vec<Expr>) -> Expr {
    Arc::new(function(operation)).call(arguments)
}
