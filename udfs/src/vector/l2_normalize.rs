//! `l2_normalize`: a vector scaled to length 1.

use std::sync::Arc;

use arrow::array::{Float32Array, ListArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use datafusion_common::utils::take_function_args;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::measure::l2_norm;
use super::rows::{Element, Precision, Rows};
use crate::declaration::{Argument, ArgumentKind, Declaration, DocumentedExample, Family, FunctionDoc, Needs};

pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "l2_normalize",
    aliases: &["vector_normalize"],
    family: Family::Vector,
    syntax: &["l2_normalize(vector)"],
    description: "The vector divided by its Euclidean length, so that its length is 1. The zero vector stays as it is.",
    arguments: &[Argument { name: "vector", kind: ArgumentKind::Vector, optional: false, description: "A vector." }],
    returns: "FLOAT[]",
    examples: &[
        DocumentedExample {
            sql: "SELECT l2_normalize(ARRAY[3, 4])",
            expected: Some("{0.6,0.8}"),
            needs: Needs::Nothing,
        },
        DocumentedExample { sql: "SELECT l2_normalize(ARRAY[0, 0])", expected: Some("{0,0}"), needs: Needs::Nothing },
    ],
    source: "pgvector's `l2_normalize`; the alias is Spark's",
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct L2Normalize {
    declaration: Declaration,
}

impl L2Normalize {
    pub(crate) fn new() -> Self {
        Self { declaration: Declaration::new(&DOC, Signature::any(1, Volatility::Immutable)) }
    }
}

impl ScalarUDFImpl for L2Normalize {
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
        let [argument] = take_function_args(DOC.name, arguments)?;
        Precision::of(DOC.name, std::slice::from_ref(argument))?;
        Ok(vector_type())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = take_function_args(DOC.name, arguments.args)?;
        let constant = matches!(argument, ColumnarValue::Scalar(_));
        let array = match argument {
            ColumnarValue::Array(array) => array,
            ColumnarValue::Scalar(value) => value.to_array()?,
        };
        let normalized = match Precision::of(DOC.name, &[array.data_type().clone()])? {
            None => return Ok(ColumnarValue::Scalar(ScalarValue::try_new_null(&vector_type())?)),
            Some(Precision::Single) => normalize(&Rows::<f32>::new(DOC.name, &array)?)?,
            Some(Precision::Double) => normalize(&Rows::<f64>::new(DOC.name, &array)?)?,
        };
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&normalized, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(normalized)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.declaration.documentation)
    }
}

fn vector_type() -> DataType {
    DataType::new_list(DataType::Float32, true)
}

fn normalize<T: Element>(rows: &Rows<T>) -> Result<ListArray> {
    let element_count = rows.element_count();
    if i32::try_from(element_count).is_err() {
        return Err(ArrowError::OffsetOverflowError(element_count).into());
    }
    let mut values: Vec<f32> = Vec::with_capacity(element_count);
    let mut offsets: Vec<i32> = Vec::with_capacity(rows.len() + 1);
    offsets.push(0);
    for index in 0..rows.len() {
        if let Some(row) = rows.row(index) {
            let norm = l2_norm(row);
            // Zero has no direction to keep; it is the one vector that this leaves with another length than 1.
            let divisor = if norm == 0.0 { 1.0 } else { norm };
            values.extend(row.iter().map(|value| (Into::<f64>::into(*value) / divisor) as f32));
        }
        // The count was checked to fit.
        offsets.push(values.len() as i32);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let field = Arc::new(Field::new_list_field(DataType::Float32, true));
    let values = Arc::new(Float32Array::new(values.into(), None));
    Ok(ListArray::try_new(field, offsets, values, rows.nulls().cloned())?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float32Type, Float64Type};

    use super::*;
    use crate::testing::{Random, invoke, invoke_array};

    #[test]
    fn gives_length_one_and_keeps_null_and_zero() {
        let vectors = ListArray::from_iter_primitive::<Float64Type, _, _>([
            Some(vec![Some(3.0), Some(4.0)]),
            None,
            Some(vec![Some(0.0), Some(0.0)]),
            Some(vec![]),
            Some(vec![Some(1e300), Some(0.0)]),
        ]);
        let function = L2Normalize::new().into();
        let found = invoke_array(&function, vec![ColumnarValue::Array(Arc::new(vectors))]).unwrap();
        let expected = ListArray::from_iter_primitive::<Float32Type, _, _>([
            Some(vec![Some(0.6), Some(0.8)]),
            None,
            Some(vec![Some(0.0), Some(0.0)]),
            Some(vec![]),
            Some(vec![Some(1.0), Some(0.0)]),
        ]);
        assert_eq!(found.as_list::<i32>(), &expected);
    }

    #[test]
    fn random_vectors_have_length_one() {
        let mut random = Random(21);
        let rows: Vec<_> =
            (0..50).map(|_| Some(random.vector(384).into_iter().map(Some).collect::<Vec<_>>())).collect();
        let vectors = ListArray::from_iter_primitive::<Float32Type, _, _>(rows);
        // A slice keeps the whole values buffer: the result must hold the rows of the slice alone.
        let slice = vectors.slice(10, 20);
        let found = invoke_array(&L2Normalize::new().into(), vec![ColumnarValue::Array(Arc::new(slice))]).unwrap();
        assert_eq!(found.len(), 20);
        for (index, row) in found.as_list::<i32>().iter().enumerate() {
            let row = row.unwrap();
            let row = row.as_primitive::<Float32Type>().values();
            assert!((l2_norm(row) - 1.0).abs() < 1e-6);
            let source = vectors.value(index + 10);
            let source = source.as_primitive::<Float32Type>().values();
            assert!((row[0] / row[1] - source[0] / source[1]).abs() < 1e-3 * (source[0] / source[1]).abs());
        }
    }

    #[test]
    fn a_constant_gives_a_constant_and_null_gives_null() {
        let function = L2Normalize::new().into();
        let null = invoke(&function, vec![ColumnarValue::Scalar(ScalarValue::Null)]).unwrap();
        assert!(matches!(null, ColumnarValue::Scalar(ref value) if value.is_null()));
        assert_eq!(null.data_type(), vector_type());
        let list = ListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![Some(2.0)])]);
        let constant = ScalarValue::List(Arc::new(list));
        let one = invoke(&function, vec![ColumnarValue::Scalar(constant)]).unwrap();
        assert!(matches!(one, ColumnarValue::Scalar(_)));
    }
}
