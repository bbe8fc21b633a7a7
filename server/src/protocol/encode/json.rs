//! What PostgreSQL has no type for without declaring one (structs, maps, unions, and lists of them) as JSON text, in
//! the style of `row_to_json`: no blanks, timestamps in ISO 8601 with `T`, `NaN` and `Infinity` as strings, bytes as
//! a string of `bytea_output`. A union is an object of one key, the name of the member that the value is of.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use bytes::{BufMut, BytesMut};

use super::cell::{Cell, Column, cell};
use super::options::EncodeOptions;
use super::resolve::{Style, column};
use super::{datetime, float, integer, interval, list, numeric, string};
use crate::protocol::error::{Kind, Result, ValueError};

/// The JSON of a column; `None` for a type that has none, of which there is no kind today.
pub(super) fn json(array: &ArrayRef, options: &EncodeOptions) -> Result<Option<Box<dyn Cell>>> {
    match array.data_type() {
        DataType::Boolean => return Ok(Some(integer::boolean_json(array))),
        DataType::Float16 => return Ok(Some(number(float::text16(array, options)))),
        DataType::Float32 => return Ok(Some(number(float::text32(array, options)))),
        DataType::Float64 => return Ok(Some(number(float::text64(array, options)))),
        DataType::Struct(_) => return object(array, options).map(Some),
        DataType::Map(_, _) => return map(array, options).map(Some),
        DataType::Union(_, _) => return union(array, options).map(Some),
        _ => {}
    }
    if let Some(lists) = list::Lists::new(array) {
        return list(lists, options).map(Some);
    }
    if let Some(digits) = integer::any_text(array).or_else(|| numeric::text(array)) {
        return Ok(Some(digits));
    }
    let text = string::text(array)
        .or_else(|| string::bytea_text(array, options))
        .or_else(|| datetime::text(array, options, datetime::Style::Json))
        .or_else(|| interval::text(array, options));
    Ok(text.map(|text| {
        cell(move |row, out| {
            out.put_u8(b'"');
            let start = out.len();
            text.write(row, out)?;
            close_string(out, start);
            Ok(())
        })
    }))
}

/// A float: JSON has no literal for what isn't finite, so that becomes a string.
fn number(digits: Box<dyn Cell>) -> Box<dyn Cell> {
    cell(move |row, out| {
        let start = out.len();
        digits.write(row, out)?;
        if out.last().is_some_and(u8::is_ascii_alphabetic) {
            let word = out.get(start..).unwrap_or_default().to_vec();
            out.truncate(start);
            out.put_u8(b'"');
            out.extend_from_slice(&word);
            out.put_u8(b'"');
        }
        Ok(())
    })
}

fn list(lists: list::Lists, options: &EncodeOptions) -> Result<Box<dyn Cell>> {
    let element = column(&lists.elements, Style::Json, options)?;
    Ok(cell(move |row, out| {
        out.put_u8(b'[');
        for (position, index) in lists.range(row).enumerate() {
            if position > 0 {
                out.put_u8(b',');
            }
            put_or_null(&element, index, out)?;
        }
        out.put_u8(b']');
        Ok(())
    }))
}

fn object(array: &ArrayRef, options: &EncodeOptions) -> Result<Box<dyn Cell>> {
    let array = array.as_struct();
    let mut members = Vec::with_capacity(array.num_columns());
    for (field, values) in array.fields().iter().zip(array.columns()) {
        members.push((member_name(field.name()), column(values, Style::Json, options)?));
    }
    Ok(cell(move |row, out| {
        out.put_u8(b'{');
        for (position, (name, values)) in members.iter().enumerate() {
            if position > 0 {
                out.put_u8(b',');
            }
            out.extend_from_slice(name);
            put_or_null(values, row, out)?;
        }
        out.put_u8(b'}');
        Ok(())
    }))
}

fn map(array: &ArrayRef, options: &EncodeOptions) -> Result<Box<dyn Cell>> {
    let array = array.as_map();
    let keys = column(array.keys(), Style::Text, options)?;
    let values = column(array.values(), Style::Json, options)?;
    let offsets = array.offsets().clone();
    Ok(cell(move |row, out| {
        out.put_u8(b'{');
        let range = offsets[row] as usize..offsets[row + 1] as usize;
        for (position, index) in range.enumerate() {
            if position > 0 {
                out.put_u8(b',');
            }
            if keys.is_null(index) {
                return Err(ValueError::new(Kind::NullNotAllowed, "the key of a map must not be null"));
            }
            out.put_u8(b'"');
            let start = out.len();
            keys.write(index, out)?;
            close_string(out, start);
            out.put_u8(b':');
            put_or_null(&values, index, out)?;
        }
        out.put_u8(b'}');
        Ok(())
    }))
}

fn union(array: &ArrayRef, options: &EncodeOptions) -> Result<Box<dyn Cell>> {
    let array = array.as_union().clone();
    // Type ids lie between 0 and 127, with gaps.
    let mut members: Vec<Option<(Vec<u8>, Column)>> = (0..128).map(|_| None).collect();
    for (type_id, field) in array.fields().iter() {
        if let Some(member) = usize::try_from(type_id).ok().and_then(|type_id| members.get_mut(type_id)) {
            *member = Some((member_name(field.name()), column(array.child(type_id), Style::Json, options)?));
        }
    }
    Ok(cell(move |row, out| {
        let type_id = usize::try_from(array.type_id(row)).ok();
        let Some(Some((name, values))) = type_id.and_then(|type_id| members.get(type_id)) else {
            return Err(ValueError::new(Kind::Internal, "a union's value is of no member of the union"));
        };
        out.put_u8(b'{');
        out.extend_from_slice(name);
        put_or_null(values, array.value_offset(row), out)?;
        out.put_u8(b'}');
        Ok(())
    }))
}

fn put_or_null(values: &Column, row: usize, out: &mut BytesMut) -> Result<()> {
    if values.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    values.write(row, out)
}

/// `"name":`, escaped once for all rows.
fn member_name(name: &str) -> Vec<u8> {
    let mut out = BytesMut::from("\"");
    out.extend_from_slice(name.as_bytes());
    close_string(&mut out, 1);
    out.put_u8(b':');
    out.to_vec()
}

/// Closes a JSON string whose opening quote stands before `start`: escapes what follows as `escape_json` does.
fn close_string(out: &mut BytesMut, start: usize) {
    let special = |byte: &u8| matches!(byte, 0..=0x1f | b'"' | b'\\');
    let text = out.get(start..).unwrap_or_default();
    if let Some(first) = text.iter().position(special) {
        let rest = text.get(first..).unwrap_or_default().to_vec();
        out.truncate(start + first);
        for byte in rest {
            if special(&byte) { put_escaped(byte, out) } else { out.put_u8(byte) }
        }
    }
    out.put_u8(b'"');
}

fn put_escaped(byte: u8, out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(b"\\u00");
            return out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}
