//! Tensors of a run to result columns: one value or one list a row, and scikit-learn's sequence of maps as MAP.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Float32Array, Int64Array, ListArray, MapArray,
        PrimitiveArray, StringArray, StructArray,
    },
    buffer::{OffsetBuffer, ScalarBuffer},
    datatypes::{
        DataType, Field, Fields, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use half::bf16;
use ort::value::{DynMapValueType, DynSequenceValueType, DynValue, PrimitiveTensorElementType};

use super::{message_of, scheduler::Tensors};
use crate::{
    error::{Error, Result},
    spec::{Element, Port},
};

/// The result columns of the first `rows` rows, in the order of `ports`. `run_rows` is how many the run had.
pub(crate) fn columns(mut outputs: Tensors, ports: &[Port], rows: usize, run_rows: usize) -> Result<Vec<ArrayRef>> {
    let column = |port: &Port| {
        let position = outputs.iter().position(|(name, _)| name == &port.name);
        let value = position.map(|index| outputs.swap_remove(index).1);
        let value = value.ok_or_else(|| failed(port, "is missing from the run's results"))?;
        match port.map_key {
            Some(key) => maps(value, port, key, rows, run_rows),
            None => tensor(&value, port, rows, run_rows),
        }
    };
    ports.iter().map(column).collect()
}

/// Shape and values of a floating-point tensor, as `f32`.
pub(crate) fn floats(outputs: &Tensors, port: &Port) -> Result<(Vec<usize>, Vec<f32>)> {
    let value = outputs.iter().find(|(name, _)| name == &port.name).map(|(_, value)| value);
    let value = value.ok_or_else(|| failed(port, "is missing from the run's results"))?;
    match port.element {
        Element::Float16 => read::<half::f16, f32>(value, half::f16::to_f32),
        Element::BFloat16 => read::<bf16, f32>(value, bf16::to_f32),
        Element::Float64 => read::<f64, f32>(value, |number| number as f32),
        _ => read::<f32, f32>(value, |number| number),
    }
}

fn tensor(value: &DynValue, port: &Port, rows: usize, run_rows: usize) -> Result<ArrayRef> {
    match port.element {
        Element::Bool => {
            let (shape, data) = read::<bool, bool>(value, |flag| flag)?;
            shaped(port, &shape, data, rows, run_rows, |data| Arc::new(BooleanArray::from(data)))
        }
        Element::String => {
            let tensor = value.try_extract_strings().map_err(run_failed)?;
            let shape = dimensions(tensor.0);
            shaped(port, &shape, tensor.1, rows, run_rows, |data| Arc::new(StringArray::from(data)))
        }
        Element::Int8 => primitive::<Int8Type, _>(value, port, rows, run_rows, |number: i8| number),
        Element::Int16 => primitive::<Int16Type, _>(value, port, rows, run_rows, |number: i16| number),
        Element::Int32 => primitive::<Int32Type, _>(value, port, rows, run_rows, |number: i32| number),
        Element::Int64 => primitive::<Int64Type, _>(value, port, rows, run_rows, |number: i64| number),
        Element::UInt8 => primitive::<UInt8Type, _>(value, port, rows, run_rows, |number: u8| number),
        Element::UInt16 => primitive::<UInt16Type, _>(value, port, rows, run_rows, |number: u16| number),
        Element::UInt32 => primitive::<UInt32Type, _>(value, port, rows, run_rows, |number: u32| number),
        Element::UInt64 => primitive::<UInt64Type, _>(value, port, rows, run_rows, |number: u64| number),
        Element::Float16 => primitive::<Float16Type, _>(value, port, rows, run_rows, |number: half::f16| number),
        Element::BFloat16 => primitive::<Float32Type, _>(value, port, rows, run_rows, bf16::to_f32),
        Element::Float32 => primitive::<Float32Type, _>(value, port, rows, run_rows, |number: f32| number),
        Element::Float64 => primitive::<Float64Type, _>(value, port, rows, run_rows, |number: f64| number),
    }
}

fn primitive<A: ArrowPrimitiveType, T: PrimitiveTensorElementType + Copy>(
    value: &DynValue,
    port: &Port,
    rows: usize,
    run_rows: usize,
    convert: fn(T) -> A::Native,
) -> Result<ArrayRef> {
    let (shape, data) = read::<T, A::Native>(value, convert)?;
    let array =
        |data: Vec<A::Native>| -> ArrayRef { Arc::new(PrimitiveArray::<A>::new(ScalarBuffer::from(data), None)) };
    shaped(port, &shape, data, rows, run_rows, array)
}

fn read<T: PrimitiveTensorElementType + Copy, N>(
    value: &DynValue,
    convert: fn(T) -> N,
) -> Result<(Vec<usize>, Vec<N>)> {
    let (shape, data) = value.try_extract_tensor::<T>().map_err(run_failed)?;
    Ok((dimensions(shape), data.iter().map(|&number| convert(number)).collect()))
}

fn dimensions(shape: &ort::value::Shape) -> Vec<usize> {
    shape.iter().map(|&dimension| usize::try_from(dimension).unwrap_or(0)).collect()
}

/// Checks that the tensor has one slice a row, cuts padding rows off, and wraps the rest as the port's type says.
fn shaped<N>(
    port: &Port,
    shape: &[usize],
    mut data: Vec<N>,
    rows: usize,
    run_rows: usize,
    array: impl FnOnce(Vec<N>) -> ArrayRef,
) -> Result<ArrayRef> {
    let leading = shape.first().copied();
    if leading != Some(run_rows) || run_rows == 0 {
        return Err(failed(port, &format!("has shape {shape:?} for {run_rows} rows")));
    }
    let width = data.len() / run_rows;
    data.truncate(rows * width);
    let values = array(data);
    let depth = port.row_shape().len();
    if depth == 0 {
        return match width {
            1 => Ok(values),
            _ => Err(failed(port, &format!("has {width} values a row, and its type says one"))),
        };
    }
    let inner = shape.get(1..).unwrap_or_default();
    if inner.len() != depth {
        return Err(failed(port, &format!("has shape {shape:?}, and its type says {}", port.sql_type())));
    }
    lists(port, values, inner, rows)
}

/// Wraps flat values into lists, the innermost dimension first.
fn lists(port: &Port, values: ArrayRef, inner: &[usize], rows: usize) -> Result<ArrayRef> {
    if i32::try_from(values.len()).is_err() {
        return Err(failed(port, "is too large for one batch"));
    }
    let mut values = values;
    for (level, &size) in inner.iter().enumerate().rev() {
        let count = inner.iter().take(level).product::<usize>() * rows;
        let offsets = OffsetBuffer::<i32>::from_repeated_length(size, count);
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        let list = ListArray::try_new(field, offsets, values, None);
        values = Arc::new(list.map_err(|error| failed(port, &error.to_string()))?);
    }
    Ok(values)
}

/// A sequence of maps, one a row.
fn maps(value: DynValue, port: &Port, key: Element, rows: usize, run_rows: usize) -> Result<ArrayRef> {
    let sequence = value.downcast::<DynSequenceValueType>().map_err(run_failed)?;
    let maps = sequence.try_extract_sequence::<DynMapValueType>().map_err(run_failed)?;
    if maps.len() != run_rows {
        return Err(failed(port, &format!("has {} maps for {run_rows} rows", maps.len())));
    }
    let mut lengths = Vec::with_capacity(rows);
    let mut scores: Vec<f32> = Vec::new();
    let keys: ArrayRef = if key == Element::String {
        let mut keys: Vec<String> = Vec::new();
        for map in maps.iter().take(rows) {
            let entries = map.try_extract_key_values::<String, f32>().map_err(run_failed)?;
            lengths.push(entries.len());
            entries.into_iter().for_each(|(key, score)| {
                keys.push(key);
                scores.push(score);
            });
        }
        Arc::new(StringArray::from(keys))
    } else {
        let mut keys: Vec<i64> = Vec::new();
        for map in maps.iter().take(rows) {
            let entries = map.try_extract_key_values::<i64, f32>().map_err(run_failed)?;
            lengths.push(entries.len());
            entries.into_iter().for_each(|(key, score)| {
                keys.push(key);
                scores.push(score);
            });
        }
        Arc::new(Int64Array::from(keys))
    };
    map_array(port, keys, scores, lengths)
}

fn map_array(port: &Port, keys: ArrayRef, scores: Vec<f32>, lengths: Vec<usize>) -> Result<ArrayRef> {
    let DataType::Map(entries_field, ordered) = port.data_type() else {
        return Err(failed(port, "is no map"));
    };
    let fields = match entries_field.data_type() {
        DataType::Struct(fields) => fields.clone(),
        _ => Fields::empty(),
    };
    if i32::try_from(scores.len()).is_err() {
        return Err(failed(port, "is too large for one batch"));
    }
    let entries = StructArray::try_new(fields, vec![keys, Arc::new(Float32Array::from(scores))], None);
    let entries = entries.map_err(|error| failed(port, &error.to_string()))?;
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let map = MapArray::try_new(entries_field, offsets, entries, None, ordered);
    Ok(Arc::new(map.map_err(|error| failed(port, &error.to_string()))?))
}

fn failed(port: &Port, what: &str) -> Error {
    Error::RunFailed { message: format!("output \"{}\" {what}", port.name) }
}

fn run_failed(error: ort::Error) -> Error {
    Error::RunFailed { message: message_of(&error) }
}
