//! Request columns as what the tensors need: lists taken apart, values cast, and each row that doesn't survive marked
//! with its reason.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    buffer::NullBuffer,
    compute::{CastOptions, cast, cast_with_options},
    datatypes::{DataType, Float16Type, Float32Type, Float64Type},
};

use super::drive::Refused;
use crate::{
    binding::list_item,
    error::Error,
    spec::{Element, Port},
};

/// The first reason for each row.
#[derive(Default)]
pub(crate) struct Bad {
    pub rows: BTreeMap<usize, String>,
}

impl Bad {
    fn add(&mut self, row: usize, message: impl FnOnce() -> String) {
        self.rows.entry(row).or_insert_with(message);
    }
}

/// The values of a list column without its lists, and how many each row has. `None` where a row's length is wrong.
pub(crate) fn flatten(port: &Port, part: &ArrayRef, bad: &mut Bad) -> Result<Option<(ArrayRef, usize)>, Refused> {
    let mut values = plain_list(part).map_err(Refused::Batch)?;
    let mut per_row = 1usize;
    let mut level = 0;
    while list_item(values.data_type()).is_some() {
        let list = plain_list(&values).map_err(Refused::Batch)?;
        let Some(list) = list.as_list_opt::<i64>() else {
            return Err(Refused::Batch(Error::RunFailed { message: "a list column has no offsets".into() }));
        };
        let deepest = list_item(&list.value_type()).is_none();
        let lengths = list.offsets().windows(2).map(|pair| usize::try_from(pair[1] - pair[0]).unwrap_or(0));
        let expected = match (level, deepest) {
            (0, true) => port.row_width().or_else(|| lengths.clone().next()).unwrap_or(0),
            _ => port.row_shape().get(level).and_then(|&size| usize::try_from(size).ok()).unwrap_or(0),
        };
        let before = bad.rows.len();
        for (index, length) in lengths.enumerate() {
            let row = index / per_row;
            if list.is_null(index) {
                bad.add(row, || format!("input \"{}\" is null", port.name));
            } else if length != expected {
                bad.add(row, || format!("input \"{}\" takes {expected} values, not {length}", port.name));
            }
        }
        if bad.rows.len() > before {
            return Ok(None);
        }
        let start = list.offsets().first().map_or(0, |&start| usize::try_from(start).unwrap_or(0));
        let child = list.values().slice(start, list.len() * expected);
        per_row = per_row.saturating_mul(expected);
        values = child;
        level += 1;
    }
    if per_row == 0 {
        let message = format!("input \"{}\" has no values", port.name);
        bad.add(0, || message);
        return Ok(None);
    }
    Ok(Some((values, per_row)))
}

/// Any kind of list as a `LargeList`, so that one code reads all.
pub(crate) fn plain_list(part: &ArrayRef) -> Result<ArrayRef, Error> {
    match (part.data_type(), list_item(part.data_type())) {
        (DataType::LargeList(_), _) | (_, None) => Ok(part.clone()),
        (_, Some(item)) => cast(part, &DataType::new_large_list(item.clone(), true)).map_err(cast_failed),
    }
}

/// A column cast to the Arrow type of the port's element. Rows whose values don't survive are marked.
pub(crate) fn converted(port: &Port, values: &ArrayRef, per_row: usize, bad: &mut Bad) -> Result<ArrayRef, Refused> {
    let plain = match values.data_type() {
        DataType::Dictionary(_, inner) => cast(values, inner).map_err(|error| Refused::Batch(cast_failed(error)))?,
        _ => values.clone(),
    };
    let target = port.element.data_type();
    let done = if plain.data_type() == &target {
        plain.clone()
    } else {
        let options = CastOptions { safe: true, ..CastOptions::default() };
        cast_with_options(&plain, &target, &options).map_err(|error| Refused::Batch(cast_failed(error)))?
    };
    let nulls = plain.logical_nulls();
    if port.element.float() {
        mark_overflow(port, &plain, &done, per_row, bad)?;
    } else {
        mark_nulls(port, nulls.as_ref(), per_row, bad);
        if port.element != Element::String && port.element != Element::Bool {
            mark_inexact(port, &plain, nulls.as_ref(), per_row, bad)?;
        }
    }
    if port.element == Element::String {
        mark_zero_bytes(port, &done, per_row, bad);
    }
    if done.data_type() != plain.data_type() {
        mark_lost(port, &plain, nulls.as_ref(), done.logical_nulls().as_ref(), per_row, bad);
    }
    Ok(done)
}

fn mark_nulls(port: &Port, nulls: Option<&NullBuffer>, per_row: usize, bad: &mut Bad) {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
        return;
    };
    for index in nulls.iter().enumerate().filter(|(_, valid)| !valid).map(|(index, _)| index) {
        bad.add(index / per_row, || format!("input \"{}\" is null", port.name));
    }
}

/// Strings go to the runtime as C strings, so a zero byte would cut them short.
fn mark_zero_bytes(port: &Port, done: &ArrayRef, per_row: usize, bad: &mut Bad) {
    let Some(strings) = done.as_string_opt::<i32>().filter(|strings| strings.value_data().contains(&0)) else {
        return;
    };
    for (index, text) in strings.iter().enumerate() {
        if text.is_some_and(|text| text.contains('\0')) {
            bad.add(index / per_row, || format!("input \"{}\" contains a zero byte", port.name));
        }
    }
}

/// Values that the cast turned to NULL.
fn mark_lost(
    port: &Port,
    plain: &ArrayRef,
    before: Option<&NullBuffer>,
    after: Option<&NullBuffer>,
    per_row: usize,
    bad: &mut Bad,
) {
    let Some(after) = after.filter(|after| after.null_count() > before.map_or(0, NullBuffer::null_count)) else {
        return;
    };
    for index in 0..plain.len() {
        if after.is_null(index) && before.is_none_or(|before| before.is_valid(index)) {
            bad.add(index / per_row, || out_of_range(port, plain, index));
        }
    }
}

/// Finite values that became infinite.
fn mark_overflow(port: &Port, plain: &ArrayRef, done: &ArrayRef, per_row: usize, bad: &mut Bad) -> Result<(), Refused> {
    let narrowed = plain.data_type() != done.data_type() && port.element != Element::Float64;
    let infinite = match port.element {
        _ if !narrowed => return Ok(()),
        Element::Float16 => done.as_primitive::<Float16Type>().values().iter().any(|value| value.is_infinite()),
        _ => done.as_primitive::<Float32Type>().values().iter().any(|value| value.is_infinite()),
    };
    if !infinite {
        return Ok(());
    }
    let wide = |array: &ArrayRef| cast(array, &DataType::Float64).map_err(|error| Refused::Batch(cast_failed(error)));
    let (before, after) = (wide(plain)?, wide(done)?);
    let (before, after) = (before.as_primitive::<Float64Type>(), after.as_primitive::<Float64Type>());
    for (index, (before, after)) in before.iter().zip(after.iter()).enumerate() {
        if let (Some(before), Some(after)) = (before, after)
            && before.is_finite()
            && after.is_infinite()
        {
            bad.add(index / per_row, || out_of_range(port, plain, index));
        }
    }
    Ok(())
}

/// Fractions on their way to an integer.
fn mark_inexact(
    port: &Port,
    plain: &ArrayRef,
    nulls: Option<&NullBuffer>,
    per_row: usize,
    bad: &mut Bad,
) -> Result<(), Refused> {
    let fractional = match plain.data_type() {
        data_type if data_type.is_floating() => true,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale > 0,
        _ => false,
    };
    if !fractional {
        return Ok(());
    }
    let wide = cast(plain, &DataType::Float64).map_err(|error| Refused::Batch(cast_failed(error)))?;
    for (index, value) in wide.as_primitive::<Float64Type>().values().iter().enumerate() {
        if value.fract() != 0.0 && nulls.is_none_or(|nulls| nulls.is_valid(index)) {
            bad.add(index / per_row, || {
                format!("value {} for input \"{}\" is not a whole number", text_of(plain, index), port.name)
            });
        }
    }
    Ok(())
}

fn out_of_range(port: &Port, values: &ArrayRef, index: usize) -> String {
    let value = text_of(values, index);
    format!("value {value} for input \"{}\" is out of range for {}", port.name, port.element.sql_name())
}

fn text_of(values: &ArrayRef, index: usize) -> String {
    arrow::util::display::array_value_to_string(values, index).unwrap_or_else(|_| "?".into())
}

fn cast_failed(error: arrow::error::ArrowError) -> Error {
    Error::RunFailed { message: format!("a request column cannot be read: {error}") }
}
