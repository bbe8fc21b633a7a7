//! JSON documents into structs, maps and lists of them: the forms in which such columns are written.
//!
//! A document is known to be JSON before it comes here. Its parts stay text, cut out and decoded as the columns they
//! belong to, so that no number loses a digit on the way.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};

use super::columns::Source;
use super::gathered::Gathered;
use crate::protocol::error::{Kind, Result, ValueError};

/// An array of documents, which all stand for values of `data_type`. An error tells of the first bad row as far as it
/// is known, else of none in particular.
pub(super) fn array(source: &Source<'_>, data_type: &DataType) -> Result<ArrayRef> {
    match data_type {
        DataType::Struct(fields) => objects(source, fields),
        DataType::List(element) => lists(source, element),
        DataType::Map(entries, sorted) => maps(source, entries, *sorted),
        _ => leaves(source, data_type),
    }
}

fn objects(source: &Source<'_>, fields: &Fields) -> Result<ArrayRef> {
    let mut members: Vec<Gathered> = fields.iter().map(|_| Gathered::new(1)).collect();
    let mut valid = Vec::with_capacity(source.rows);
    for row in 0..source.rows {
        let text = source.document(row);
        let parts = match text {
            Some(text) => pairs(text)?,
            None => vec![],
        };
        valid.push(text.is_some());
        for (field, member) in fields.iter().zip(&mut members) {
            // The last of several, as JSON readers commonly have it.
            let part = parts.iter().rev().find(|(name, _)| name == field.name());
            put(member, part.map(|(_, part)| *part));
        }
        if let Some((name, _)) = parts.iter().find(|(name, _)| fields.find(name).is_none()) {
            return Err(invalid(format!("a struct has no field \"{name}\"")));
        }
    }
    let columns = fields.iter().zip(&members).map(|(field, member)| part(source, member, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    StructArray::try_new_with_length(fields.clone(), columns, nulls(valid), source.rows).map(arc).map_err(refused)
}

fn lists(source: &Source<'_>, element: &FieldRef) -> Result<ArrayRef> {
    let mut items = Gathered::new(1);
    let (mut offsets, mut valid) = (vec![0_i32], Vec::with_capacity(source.rows));
    for row in 0..source.rows {
        let text = source.document(row);
        for item in text.map(elements).transpose()?.unwrap_or_default() {
            put(&mut items, Some(item));
        }
        valid.push(text.is_some());
        offsets.push(i32::try_from(items.rows()).map_err(refused)?);
    }
    let values = part(source, &items, element.data_type())?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    ListArray::try_new(Arc::clone(element), offsets, values, nulls(valid)).map(arc).map_err(refused)
}

fn maps(source: &Source<'_>, entries: &FieldRef, sorted: bool) -> Result<ArrayRef> {
    let DataType::Struct(pair) = entries.data_type() else { return Err(invalid("a map without entries")) };
    let [key, value] = pair.as_ref() else { return Err(invalid("a map without keys and values")) };
    let (mut keys, mut values) = (Gathered::new(1), Gathered::new(1));
    let (mut offsets, mut valid) = (vec![0_i32], Vec::with_capacity(source.rows));
    for row in 0..source.rows {
        let text = source.document(row);
        for (name, text) in text.map(pairs).transpose()?.unwrap_or_default() {
            keys.put(name.as_bytes());
            keys.end_field();
            keys.end_row(0);
            put(&mut values, Some(text));
        }
        valid.push(text.is_some());
        offsets.push(i32::try_from(keys.rows()).map_err(refused)?);
    }
    let keys = Source { fields: &keys, column: 0, rows: keys.rows(), ..*source };
    let keys = keys.array(key.data_type()).map_err(|bad| bad.error)?;
    let values = part(source, &values, value.data_type())?;
    let pair = StructArray::try_new(pair.clone(), vec![keys, values], None).map_err(refused)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    MapArray::try_new(Arc::clone(entries), offsets, pair, nulls(valid), sorted).map(arc).map_err(refused)
}

/// Values that aren't nested, each spelled as JSON spells it.
fn leaves(source: &Source<'_>, data_type: &DataType) -> Result<ArrayRef> {
    let mut texts = Gathered::new(1);
    for row in 0..source.rows {
        match source.document(row) {
            Some(text) if text.starts_with(b"\"") => {
                let text = string(text)?;
                texts.put(text.as_bytes());
                texts.end_field();
            }
            Some(text) if matches!(text.first(), Some(b'{' | b'[')) && *data_type != DataType::Utf8 => {
                return Err(invalid(format!("a document where a value of type {data_type} is wanted")));
            }
            Some(text) => {
                texts.put(text);
                texts.end_field();
            }
            None => texts.end_null(),
        }
        texts.end_row(0);
    }
    let texts = Source { fields: &texts, column: 0, rows: texts.rows(), ..*source };
    texts.array(data_type).map_err(|bad| bad.error)
}

fn part(source: &Source<'_>, fields: &Gathered, data_type: &DataType) -> Result<ArrayRef> {
    array(&Source { fields, column: 0, rows: fields.rows(), ..*source }, data_type)
}

/// A part of a document: `null`, and what isn't there, is NULL.
fn put(fields: &mut Gathered, part: Option<&[u8]>) {
    match part {
        Some(text) if text != b"null" => {
            fields.put(text);
            fields.end_field();
        }
        _ => fields.end_null(),
    }
    fields.end_row(0);
}

/// Names and values of an object.
fn pairs(text: &[u8]) -> Result<Vec<(String, &[u8])>> {
    let inner = inside(text, b'{', b'}').ok_or_else(|| invalid("an object is wanted"))?;
    let mut pairs = vec![];
    for member in split(inner, b',') {
        let mut halves = split(member, b':').into_iter();
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else { return Err(invalid("a member lacks")) };
        pairs.push((string(name)?, value));
    }
    Ok(pairs)
}

fn elements(text: &[u8]) -> Result<Vec<&[u8]>> {
    inside(text, b'[', b']').map(|inner| split(inner, b',')).ok_or_else(|| invalid("an array is wanted"))
}

fn inside(text: &[u8], open: u8, close: u8) -> Option<&[u8]> {
    text.trim_ascii().strip_prefix(&[open])?.strip_suffix(&[close])
}

/// What stands between separators, outside strings and brackets; nothing at all in blank text.
fn split(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut depth, mut in_string, mut escaped, mut start) = (0_usize, false, false, 0);
    let mut parts = vec![];
    for (at, byte) in text.iter().enumerate() {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ if *byte == separator && depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default().trim_ascii());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = text.get(start..).unwrap_or_default().trim_ascii();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

fn string(text: &[u8]) -> Result<String> {
    serde_json::from_slice(text).map_err(refused)
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0)
}

fn arc<A: arrow::array::Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

fn invalid(what: impl std::fmt::Display) -> ValueError {
    ValueError::new(Kind::InvalidText, "invalid input syntax for type json").with_detail(format!("{what}."))
}

fn refused(error: impl std::fmt::Display) -> ValueError {
    invalid(error)
}
