//! Rows of a request to tensors, whole arrays at a time.
//!
//! Casts are safe ones: integers become floats, `DOUBLE` becomes `FLOAT`, a float becomes an integer only where it is
//! one. A value that doesn't survive its cast is its row's error. NULL is NaN for a float, for it is what models are
//! trained with; for every other type, and for a whole list, NULL is the row's error.

use arrow::{
    array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray},
    datatypes::{
        DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
};
use half::{bf16, f16};
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};

use super::{
    casts::{Bad, converted, flatten, plain_list},
    drive::Refused,
    message_of,
    scheduler::Tensors,
};
use crate::{
    binding::{Binding, Source, list_item},
    error::Error,
    spec::{Element, ModelSpec, Port},
};

/// Rows copied column by column before moving on: the block of the result stays in the cache.
const BLOCK_ROWS: usize = 512;

/// The tensors of a dense request, which has no NULL row. The last row is repeated until there are `rows_min` of them.
/// Rows in `Refused::Rows` are counted from the request's first.
pub(crate) fn tensors(
    request: &ArrayRef,
    spec: &ModelSpec,
    binding: &Binding,
    rows_min: usize,
) -> Result<Tensors, Refused> {
    let mut bad = Bad::default();
    let mut tensors = Vec::with_capacity(spec.inputs.len());
    for (port, source) in spec.inputs.iter().zip(&binding.sources) {
        let parts = parts(request, source);
        if let Some(value) = tensor(port, &parts, request.len(), rows_min, &mut bad)? {
            tensors.push((port.name.clone(), value));
        }
    }
    match bad.rows.is_empty() {
        true => Ok(tensors),
        false => Err(Refused::Rows(bad.rows.into_iter().collect())),
    }
}

/// For a model whose input has an open width: the number of values each row of the request has.
pub(crate) fn row_lengths(request: &ArrayRef, source: &Source) -> Option<Vec<usize>> {
    let parts = parts(request, source);
    let [part] = parts.as_slice() else {
        return None;
    };
    let part = plain_list(part).ok()?;
    let offsets = match part.data_type() {
        DataType::LargeList(_) => part.as_list::<i64>().offsets(),
        _ => return None,
    };
    Some(offsets.windows(2).map(|pair| usize::try_from(pair[1] - pair[0]).unwrap_or(0)).collect())
}

fn parts(request: &ArrayRef, source: &Source) -> Vec<ArrayRef> {
    let column = |index: &usize| request.as_struct_opt().and_then(|fields| fields.columns().get(*index)).cloned();
    match source {
        Source::Whole => vec![request.clone()],
        Source::Field(index) => column(index).into_iter().collect(),
        Source::Fields(indices) => indices.iter().filter_map(column).collect(),
    }
}

/// One input's tensor, or nothing where rows had to be refused.
fn tensor(
    port: &Port,
    parts: &[ArrayRef],
    rows: usize,
    rows_min: usize,
    bad: &mut Bad,
) -> Result<Option<DynValue>, Refused> {
    let mut columns = Vec::with_capacity(parts.len());
    let mut width = parts.len();
    let before = bad.rows.len();
    for part in parts {
        let (values, per_row) = match list_item(part.data_type()) {
            Some(_) => match flatten(port, part, bad)? {
                Some(flat) => flat,
                None => return Ok(None),
            },
            None => (part.clone(), 1),
        };
        if parts.len() == 1 {
            width = per_row;
        }
        columns.push(converted(port, &values, per_row, bad)?);
    }
    if bad.rows.len() > before {
        return Ok(None);
    }
    let mut shape: Vec<i64> = port.shape.clone();
    let padded_rows = rows.max(rows_min);
    if let Some(first) = shape.first_mut() {
        *first = padded_rows as i64;
    }
    if let (2, Some(last)) = (port.shape.len(), shape.get_mut(1)) {
        *last = width as i64;
    }
    let layout = Layout { rows, padded_rows, width, shape };
    let value = value(port.element, &columns, &layout).map_err(Refused::Batch)?;
    Ok(Some(value))
}

struct Layout {
    rows: usize,
    padded_rows: usize,
    width: usize,
    shape: Vec<i64>,
}

fn value(element: Element, columns: &[ArrayRef], layout: &Layout) -> Result<DynValue, Error> {
    match element {
        Element::Bool => bools(columns, layout),
        Element::String => strings(columns, layout),
        Element::Int8 => numbers::<Int8Type, i8>(columns, layout, 0, |value| value),
        Element::Int16 => numbers::<Int16Type, i16>(columns, layout, 0, |value| value),
        Element::Int32 => numbers::<Int32Type, i32>(columns, layout, 0, |value| value),
        Element::Int64 => numbers::<Int64Type, i64>(columns, layout, 0, |value| value),
        Element::UInt8 => numbers::<UInt8Type, u8>(columns, layout, 0, |value| value),
        Element::UInt16 => numbers::<UInt16Type, u16>(columns, layout, 0, |value| value),
        Element::UInt32 => numbers::<UInt32Type, u32>(columns, layout, 0, |value| value),
        Element::UInt64 => numbers::<UInt64Type, u64>(columns, layout, 0, |value| value),
        Element::Float16 => numbers::<Float16Type, f16>(columns, layout, f16::NAN, |value| value),
        Element::BFloat16 => numbers::<Float32Type, bf16>(columns, layout, bf16::NAN, bf16::from_f32),
        Element::Float32 => numbers::<Float32Type, f32>(columns, layout, f32::NAN, |value| value),
        Element::Float64 => numbers::<Float64Type, f64>(columns, layout, f64::NAN, |value| value),
    }
}

/// One column per value of a row, or one column that holds all values of each row, into row-major order.
fn numbers<A: ArrowPrimitiveType, T>(
    columns: &[ArrayRef],
    layout: &Layout,
    null: T,
    convert: fn(A::Native) -> T,
) -> Result<DynValue, Error>
where
    T: PrimitiveTensorElementType + Copy + std::fmt::Debug + 'static,
{
    let arrays: Vec<&PrimitiveArray<A>> = columns.iter().filter_map(|column| column.as_primitive_opt::<A>()).collect();
    let stride = arrays.len().max(1);
    let mut data: Vec<T> = Vec::with_capacity(layout.padded_rows.saturating_mul(layout.width));
    if let [only] = arrays.as_slice() {
        data.extend(only.values().iter().map(|&value| convert(value)));
        fill_nulls(only, &mut data, 0, 1, null);
    } else {
        data.resize(layout.rows * stride, null);
        for (block, rows) in data.chunks_mut(BLOCK_ROWS * stride).enumerate() {
            for (offset, array) in arrays.iter().enumerate() {
                let values = array.values().iter().skip(block * BLOCK_ROWS);
                let slots = rows.iter_mut().skip(offset).step_by(stride);
                slots.zip(values).for_each(|(slot, &value)| *slot = convert(value));
            }
        }
        for (offset, array) in arrays.iter().enumerate() {
            fill_nulls(array, &mut data, offset, stride, null);
        }
    }
    repeat_last(&mut data, layout);
    made(Tensor::from_array((layout.shape.clone(), data)))
}

fn fill_nulls<A: ArrowPrimitiveType, T: Copy>(
    array: &PrimitiveArray<A>,
    data: &mut [T],
    offset: usize,
    stride: usize,
    null: T,
) {
    let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return;
    };
    for index in (0..array.len()).filter(|&index| nulls.is_null(index)) {
        if let Some(slot) = data.get_mut(index * stride + offset) {
            *slot = null;
        }
    }
}

fn bools(columns: &[ArrayRef], layout: &Layout) -> Result<DynValue, Error> {
    let mut data = vec![false; layout.rows * layout.width];
    let arrays: Vec<_> = columns.iter().filter_map(|column| column.as_boolean_opt()).collect();
    let stride = arrays.len().max(1);
    for (offset, array) in arrays.iter().enumerate() {
        let slots = data.iter_mut().skip(offset).step_by(stride);
        slots.zip(array.values().iter()).for_each(|(slot, value)| *slot = value);
    }
    repeat_last(&mut data, layout);
    made(Tensor::from_array((layout.shape.clone(), data)))
}

fn strings(columns: &[ArrayRef], layout: &Layout) -> Result<DynValue, Error> {
    // The runtime wants owned values here: its bound on elements is `static`.
    let mut data = vec![String::new(); layout.rows * layout.width];
    let arrays: Vec<_> = columns.iter().filter_map(|column| column.as_string_opt::<i32>()).collect();
    let stride = arrays.len().max(1);
    for (offset, array) in arrays.iter().enumerate() {
        let slots = data.iter_mut().skip(offset).step_by(stride);
        slots.zip(array.iter()).for_each(|(slot, value)| *slot = value.unwrap_or_default().to_string());
    }
    repeat_last(&mut data, layout);
    made(Tensor::from_string_array((layout.shape.clone(), data.as_slice())))
}

fn repeat_last<T: Clone>(data: &mut Vec<T>, layout: &Layout) {
    let start = data.len().saturating_sub(layout.width);
    for _ in layout.rows..layout.padded_rows {
        data.extend_from_within(start..start + layout.width.min(data.len() - start));
    }
}

fn made<T: ort::value::ValueTypeMarker>(tensor: ort::Result<ort::value::Value<T>>) -> Result<DynValue, Error> {
    tensor.map(|tensor| tensor.into_dyn()).map_err(|error| Error::RunFailed { message: message_of(&error) })
}
