//! The measures as SQL calls them: every array type, columns and constants in either place, and what is refused.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array, LargeListArray, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ScalarUDF};

use crate::error::FunctionError;
use crate::testing::{Random, invoke, invoke_array, return_field, vectors};

fn function(name: &str) -> ScalarUDF {
    super::functions().into_iter().find(|function| function.name() == name).unwrap()
}

fn column(array: impl Array + 'static) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(array))
}

fn constant(array: ListArray) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::List(Arc::new(array)))
}

fn floats(found: Result<ArrayRef>) -> Float64Array {
    found.unwrap().as_primitive::<Float64Type>().clone()
}

fn refused(name: &str, arguments: Vec<ColumnarValue>) -> FunctionError {
    let error = invoke(&function(name), arguments).unwrap_err();
    FunctionError::find(&error).cloned().unwrap_or_else(|| panic!("{error}"))
}

#[test]
fn constants_and_columns_give_the_same_bits() {
    let mut random = Random(31);
    let rows: Vec<Vec<f32>> = (0..40).map(|_| random.vector(100)).collect();
    let many = vectors(rows.iter().map(Vec::as_slice));
    let query = random.vector(100);
    let repeated = vectors(std::iter::repeat_n(query.as_slice(), 40));
    for name in ["cosine_distance", "cosine_similarity", "inner_product", "l2_distance"] {
        let function = function(name);
        let of = |left, right| floats(invoke_array(&function, vec![left, right]));
        let one = || constant(vectors([query.as_slice()]));
        let expected = of(column(repeated.clone()), column(many.clone()));
        assert_eq!(of(one(), column(many.clone())), expected, "{name}");
        assert_eq!(of(column(many.clone()), one()), expected, "{name}");
        assert_eq!(of(column(many.clone()), column(repeated.clone())), expected, "{name}");
        // One row alone, and a slice of a larger array.
        let slice = of(column(many.slice(7, 3)), column(repeated.slice(0, 3)));
        assert_eq!(slice.values()[..], expected.values()[7..10], "{name}");
        let both = invoke(&function, vec![one(), constant(vectors([rows[0].as_slice()]))]).unwrap();
        assert!(matches!(both, ColumnarValue::Scalar(ScalarValue::Float64(Some(value))) if value == expected.value(0)));
    }
}

#[test]
fn every_list_of_numbers_is_a_vector() {
    let integers = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(3), Some(4)]),
        None,
        Some(vec![Some(6), Some(8)]),
    ]);
    let field = |element: &DataType| Arc::new(Field::new_list_field(element.clone(), true));
    for element in [
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Int8,
        DataType::UInt64,
        DataType::Decimal128(10, 2),
    ] {
        for list in [
            DataType::List(field(&element)),
            DataType::LargeList(field(&element)),
            DataType::FixedSizeList(field(&element), 2),
        ] {
            let array = cast(&integers, &list).unwrap();
            for other in [vectors([[0.0, 0.0].as_slice()]), doubles(&[0.0, 0.0])] {
                let arguments = vec![ColumnarValue::Array(Arc::clone(&array)), constant(other)];
                let found = floats(invoke_array(&function("l2_distance"), arguments));
                assert_eq!(found, Float64Array::from(vec![Some(5.0), None, Some(10.0)]), "{list}");
            }
            let slice = ColumnarValue::Array(array.slice(2, 1));
            let found = floats(invoke_array(&function("inner_product"), vec![slice.clone(), slice]));
            assert_eq!(found, Float64Array::from(vec![100.0]), "{list}");
        }
    }
}

fn doubles(row: &[f64]) -> ListArray {
    ListArray::from_iter_primitive::<Float64Type, _, _>([Some(row.iter().copied().map(Some).collect::<Vec<_>>())])
}

#[test]
fn null_vectors_give_null() {
    let function = function("cosine_distance");
    let rows = ListArray::from_iter_primitive::<Float32Type, _, _>([None, Some(vec![Some(1.0)])]);
    let other = vectors([[1.0].as_slice(), [1.0].as_slice()]);
    let found = floats(invoke_array(&function, vec![column(other.clone()), column(rows.clone())]));
    assert_eq!(found, Float64Array::from(vec![None, Some(0.0)]));

    let null_constant = constant(rows.slice(0, 1));
    let found = floats(invoke_array(&function, vec![column(other.clone()), null_constant]));
    assert_eq!(found, Float64Array::from(vec![None, None]));

    let untyped = ColumnarValue::Scalar(ScalarValue::Null);
    let found = invoke(&function, vec![column(other), untyped]).unwrap();
    assert!(matches!(found, ColumnarValue::Scalar(ScalarValue::Float64(None))));
}

#[test]
fn empty_batches_and_empty_vectors() {
    let none: [&[f32]; 0] = [];
    let function = function("l2_distance");
    let found = floats(invoke_array(&function, vec![column(vectors(none)), constant(vectors([[1.0].as_slice()]))]));
    assert_eq!(found.len(), 0);
    let empty: &[f32] = &[];
    let found = floats(invoke_array(&function, vec![column(vectors([empty])), constant(vectors([empty]))]));
    assert_eq!(found, Float64Array::from(vec![0.0]));
    let untyped = ScalarValue::new_list(&[], &DataType::Null, true);
    let found = floats(invoke_array(
        &function,
        vec![column(vectors([empty])), ColumnarValue::Scalar(ScalarValue::List(untyped))],
    ));
    assert_eq!(found, Float64Array::from(vec![0.0]));
}

#[test]
fn refuses_dimensions_in_the_order_written() {
    let three = || vectors([[1.0, 2.0, 3.0].as_slice()]);
    let four = || vectors([[1.0, 2.0, 3.0, 4.0].as_slice()]);
    let expected = FunctionError::DimensionMismatch { left: 3, right: 4 };
    assert_eq!(expected.to_string(), "different vector dimensions 3 and 4");
    for name in ["cosine_distance", "cosine_similarity", "inner_product", "l2_distance"] {
        assert_eq!(refused(name, vec![column(three()), column(four())]), expected);
        assert_eq!(refused(name, vec![constant(three()), column(four())]), expected);
        assert_eq!(refused(name, vec![column(three()), constant(four())]), expected);
        assert_eq!(refused(name, vec![constant(three()), constant(four())]), expected);
    }
}

#[test]
fn refuses_null_elements_but_not_those_under_a_null_vector() {
    let holed = ListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![Some(1.0), None])]);
    let null_element = FunctionError::NullElement { function: "l2_distance" };
    let other = || constant(vectors([[1.0, 1.0].as_slice()]));
    assert_eq!(refused("l2_distance", vec![column(holed.clone()), other()]), null_element);
    assert_eq!(refused("l2_distance", vec![other(), constant(holed.clone())]), null_element);
    let normalized = FunctionError::NullElement { function: "l2_normalize" };
    assert_eq!(refused("l2_normalize", vec![column(holed)]), normalized);

    let fixed =
        FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![Some(1.0), Some(2.0)]), None], 2);
    let found = floats(invoke_array(&function("l2_distance"), vec![column(fixed), other()]));
    assert_eq!(found, Float64Array::from(vec![Some(1.0), None]));

    let outside = LargeListArray::from_iter_primitive::<Float32Type, _, _>([
        Some(vec![None, Some(2.0)]),
        Some(vec![Some(1.0), Some(1.0)]),
    ]);
    let found = floats(invoke_array(&function("l2_distance"), vec![column(outside.slice(1, 1)), other()]));
    assert_eq!(found, Float64Array::from(vec![0.0]));
}

#[test]
fn refuses_doubles_beyond_single_precision_beside_single_precision() {
    let single = vectors([[1.0, 2.0].as_slice()]);
    let out_of_range = FunctionError::OutOfRange { value: 1e300 };
    let arguments = vec![column(single.clone()), constant(doubles(&[1e300, 0.0]))];
    assert_eq!(refused("l2_distance", arguments), out_of_range);
    let infinite = vec![column(single), constant(doubles(&[f64::INFINITY, 0.0]))];
    assert_eq!(floats(invoke_array(&function("l2_distance"), infinite)).value(0), f64::INFINITY);
    let both_double = vec![column(doubles(&[1e150])), constant(doubles(&[-1e150]))];
    assert_eq!(floats(invoke_array(&function("l2_distance"), both_double)).value(0), 2e150);
}

#[test]
fn refuses_what_is_no_vector() {
    let texts = ColumnarValue::Scalar(ScalarValue::from("[1,2]"));
    let error = return_field(&function("cosine_distance"), &[column(vectors([[1.0].as_slice()])), texts]).unwrap_err();
    let expected = FunctionError::ArgumentType {
        function: "cosine_distance",
        position: 2,
        expected: "FLOAT[]",
        found: "text".into(),
    };
    assert_eq!(FunctionError::find(&error), Some(&expected));
    let nested = DataType::new_list(DataType::new_list(DataType::Float32, true), true);
    assert!(function("l2_normalize").return_type(&[nested]).is_err());
    assert!(function("l2_normalize").return_type(&[DataType::new_list(DataType::Utf8, true)]).is_err());
}
