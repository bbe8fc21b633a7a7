//! From an array and a style to the code that writes it. Types are matched here, once per batch, never per value.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, RunEndIndexType,
    UInt8Type, UInt16Type, UInt32Type,
};

use super::cell::{Cell, Column, cell};
use super::options::EncodeOptions;
use super::{datetime, float, integer, interval, json, list, numeric, string};
use crate::protocol::error::{Kind, Result, ValueError};
use crate::protocol::types::{JSON, pg_type};

/// The form that values take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// PostgreSQL's text form.
    Text,
    /// PostgreSQL's binary form.
    Binary,
    /// A part of a JSON document.
    Json,
}

/// Resolves an array to the column that writes it.
pub(super) fn column(array: &ArrayRef, style: Style, options: &EncodeOptions) -> Result<Column> {
    Ok(Column::new(array, resolve(array, style, options)?))
}

fn resolve(array: &ArrayRef, style: Style, options: &EncodeOptions) -> Result<Box<dyn Cell>> {
    let resolved = match array.data_type() {
        // Every row is null: nothing is ever written.
        DataType::Null => return Ok(cell(|_, _| Ok(()))),
        DataType::Dictionary(_, _) => return dictionary(array, style, options),
        DataType::RunEndEncoded(run_ends, _) => {
            return match run_ends.data_type() {
                DataType::Int16 => runs::<Int16Type>(array, style, options),
                DataType::Int32 => runs::<Int32Type>(array, style, options),
                _ => runs::<Int64Type>(array, style, options),
            };
        }
        data_type if style == Style::Json || pg_type(data_type).oid == JSON => json::json(array, options)?,
        _ if style == Style::Text => text(array, options)?,
        _ => binary(array, options)?,
    };
    resolved.ok_or_else(|| {
        ValueError::new(Kind::Unsupported, format!("values of type {} can't be sent", array.data_type()))
    })
}

fn text(array: &ArrayRef, options: &EncodeOptions) -> Result<Option<Box<dyn Cell>>> {
    let scalar = match array.data_type() {
        DataType::Boolean => Some(integer::boolean_text(array)),
        DataType::Float16 => Some(float::text16(array, options)),
        DataType::Float32 => Some(float::text32(array, options)),
        DataType::Float64 => Some(float::text64(array, options)),
        _ => integer::any_text(array)
            .or_else(|| string::text(array))
            .or_else(|| string::bytea_text(array, options))
            .or_else(|| numeric::text(array))
            .or_else(|| datetime::text(array, options, datetime::Style::Plain))
            .or_else(|| interval::text(array, options)),
    };
    if scalar.is_some() { Ok(scalar) } else { list::text(array, options) }
}

fn binary(array: &ArrayRef, options: &EncodeOptions) -> Result<Option<Box<dyn Cell>>> {
    let scalar = match array.data_type() {
        DataType::Boolean => Some(integer::boolean_binary(array)),
        DataType::Int8 => Some(integer::binary::<Int8Type, _, 2>(array, |value| i16::from(value).to_be_bytes())),
        DataType::UInt8 => Some(integer::binary::<UInt8Type, _, 2>(array, |value| i16::from(value).to_be_bytes())),
        DataType::Int16 => Some(integer::binary::<Int16Type, _, 2>(array, i16::to_be_bytes)),
        DataType::UInt16 => Some(integer::binary::<UInt16Type, _, 4>(array, |value| i32::from(value).to_be_bytes())),
        DataType::Int32 => Some(integer::binary::<Int32Type, _, 4>(array, i32::to_be_bytes)),
        DataType::UInt32 => Some(integer::binary::<UInt32Type, _, 8>(array, |value| i64::from(value).to_be_bytes())),
        DataType::Int64 => Some(integer::binary::<Int64Type, _, 8>(array, i64::to_be_bytes)),
        DataType::Float16 => Some(integer::binary::<Float16Type, _, 4>(array, |value| value.to_f32().to_be_bytes())),
        DataType::Float32 => Some(integer::binary::<Float32Type, _, 4>(array, f32::to_be_bytes)),
        DataType::Float64 => Some(integer::binary::<Float64Type, _, 8>(array, f64::to_be_bytes)),
        _ => string::text(array)
            .or_else(|| string::bytea_binary(array))
            .or_else(|| numeric::binary(array))
            .or_else(|| datetime::binary(array))
            .or_else(|| interval::binary(array)),
    };
    if scalar.is_some() { Ok(scalar) } else { list::binary(array, options) }
}

/// A dictionary writes the value its key names.
fn dictionary(array: &ArrayRef, style: Style, options: &EncodeOptions) -> Result<Box<dyn Cell>> {
    let dictionary = array.as_any_dictionary();
    let values = column(dictionary.values(), style, options)?;
    // Without values all rows are null, and there are no keys to normalise.
    let keys = if dictionary.values().is_empty() { Vec::new() } else { dictionary.normalized_keys() };
    Ok(cell(move |row, out| match keys.get(row) {
        Some(key) => values.write(*key, out),
        None => Ok(()),
    }))
}

/// A run-end encoded array writes the value of the run that a row lies in.
fn runs<R: RunEndIndexType>(array: &ArrayRef, style: Style, options: &EncodeOptions) -> Result<Box<dyn Cell>> {
    let runs = array.as_run::<R>().clone();
    let values = column(runs.values(), style, options)?;
    Ok(cell(move |row, out| values.write(runs.get_physical_index(row), out)))
}
