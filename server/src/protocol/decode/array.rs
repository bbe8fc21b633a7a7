//! Arrays in text (`{1,{2,NULL}}`) and binary, into lists. A text of several dimensions needn't be rectangular: the
//! engine's lists of lists needn't either.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion_common::ScalarValue;

use super::{binary, number, text as scalar_text, unsupported};
use crate::protocol::error::{Kind, Result, ValueError};
use crate::protocol::time_zone::TimeZone;
use crate::protocol::types::{ARRAY_DIMENSIONS_MAX, arrow_type, type_name};

/// An array taken apart: for each level, outermost first, the length of each list; and the elements in order.
#[derive(Default)]
struct Parts {
    lengths: Vec<Vec<usize>>,
    /// `None` is NULL.
    elements: Vec<Option<ScalarValue>>,
}

impl Parts {
    fn into_scalar(self, element: u32) -> Result<ScalarValue> {
        let mut values = elements(self.elements, element)?;
        for lengths in self.lengths.into_iter().rev() {
            let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
            values = Arc::new(list(field, lengths, values)?);
        }
        ScalarValue::try_from_array(&values, 0).map_err(internal)
    }
}

/// An empty list of elements of a type.
pub(super) fn empty(element_type: &DataType) -> Result<ScalarValue> {
    let field = Arc::new(Field::new_list_field(element_type.clone(), true));
    Ok(ScalarValue::List(Arc::new(list(field, vec![0], new_empty_array(element_type))?)))
}

fn list(field: Arc<Field>, lengths: Vec<usize>, values: ArrayRef) -> Result<ListArray> {
    // Each element took a byte of a message at least, and messages stay below 2^31 bytes: offsets fit.
    ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None).map_err(internal)
}

fn elements(elements: Vec<Option<ScalarValue>>, oid: u32) -> Result<ArrayRef> {
    let mut present: Vec<ScalarValue> = elements.iter().flatten().cloned().collect();
    number::unify(&mut present)?;
    let declared = arrow_type(oid).ok_or_else(|| unsupported(oid))?;
    let data_type = present.first().map_or(declared, ScalarValue::data_type);
    if elements.is_empty() {
        return Ok(new_empty_array(&data_type));
    }
    let null = ScalarValue::try_new_null(&data_type).map_err(internal)?;
    let mut present = present.into_iter();
    let values = elements.iter().map(|element| match element {
        Some(_) => present.next().unwrap_or_else(|| null.clone()),
        None => null.clone(),
    });
    ScalarValue::iter_to_array(values).map_err(internal)
}

/// Reads `array_in`'s syntax, with elements of the type `element`.
pub(super) fn text(text: &str, element: u32, time_zone: &TimeZone) -> Result<ScalarValue> {
    let mut reader = TextReader {
        whole: text,
        rest: without_bounds(text.trim_ascii()),
        open: Vec::new(),
        element_depth: None,
        parts: Parts::default(),
    };
    if !reader.rest.starts_with('{') {
        return Err(reader.malformed("Array value must start with \"{\"."));
    }
    reader.open_list()?;
    while let Some(count) = reader.open.last().copied() {
        reader.skip_blanks();
        match reader.rest.chars().next() {
            None => return Err(reader.malformed("Unexpected end of input.")),
            Some('}') if count == 0 => {
                reader.close_list();
                reader.after_member()?;
            }
            Some('{') => {
                reader.count_member();
                reader.open_list()?;
            }
            Some(_) => {
                reader.count_member();
                let item = reader.item()?;
                let value = item.map(|item| scalar_text::scalar(&item, element, &DataType::Null, time_zone));
                reader.parts.elements.push(value.transpose()?);
                reader.after_member()?;
            }
        }
    }
    reader.finish()?.into_scalar(element)
}

struct TextReader<'a> {
    whole: &'a str,
    rest: &'a str,
    /// How many members each open list has so far, outermost first.
    open: Vec<usize>,
    /// How many lists are open where elements stand, once one was seen.
    element_depth: Option<usize>,
    parts: Parts,
}

impl<'a> TextReader<'a> {
    fn malformed(&self, detail: &str) -> ValueError {
        let error = ValueError::invalid_text("array", self.whole).with_detail(detail);
        let message = error.message.replacen("invalid input syntax for type array", "malformed array literal", 1);
        ValueError { message, ..error }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn step(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    fn count_member(&mut self) {
        if let Some(count) = self.open.last_mut() {
            *count += 1;
        }
    }

    fn open_list(&mut self) -> Result<()> {
        if self.open.len() == ARRAY_DIMENSIONS_MAX {
            return Err(ValueError::new(
                Kind::LimitExceeded,
                format!("number of array dimensions exceeds the maximum allowed ({ARRAY_DIMENSIONS_MAX})"),
            ));
        }
        self.open.push(0);
        if self.parts.lengths.len() < self.open.len() {
            self.parts.lengths.push(Vec::new());
        }
        self.step();
        Ok(())
    }

    fn close_list(&mut self) {
        if let Some(count) = self.open.pop()
            && let Some(lengths) = self.parts.lengths.get_mut(self.open.len())
        {
            lengths.push(count);
        }
        self.step();
    }

    /// An element, `None` for NULL.
    fn item(&mut self) -> Result<Option<String>> {
        let depth = self.open.len();
        if *self.element_depth.get_or_insert(depth) != depth {
            return Err(self.malformed("Elements stand at different depths."));
        }
        let (item, rest) = item(self.rest).ok_or_else(|| self.malformed("An element is malformed."))?;
        self.rest = rest;
        Ok(item)
    }

    /// What may follow a member: a brace closes its list, and perhaps the lists around it; a comma leads on.
    fn after_member(&mut self) -> Result<()> {
        while !self.open.is_empty() {
            self.skip_blanks();
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest.trim_ascii_start();
                let closed = self.rest.starts_with('}');
                return if closed { Err(self.malformed("Unexpected \"}\" character.")) } else { Ok(()) };
            }
            if !self.rest.starts_with('}') {
                return Err(self.malformed("Expected \",\" or \"}\"."));
            }
            self.close_list();
        }
        Ok(())
    }

    fn finish(self) -> Result<Parts> {
        if !self.rest.trim_ascii().is_empty() {
            return Err(self.malformed("Junk after closing right brace."));
        }
        if self.element_depth.is_some_and(|depth| depth != self.parts.lengths.len()) {
            return Err(self.malformed("Elements stand at different depths."));
        }
        Ok(self.parts)
    }
}

/// Leaves out explicit bounds, `[1:3]=`: a list has no bounds to keep them in.
fn without_bounds(text: &str) -> &str {
    match text.split_once('=') {
        Some((bounds, body))
            if bounds.starts_with('[')
                && bounds.trim_ascii_end().ends_with(']')
                && bounds.bytes().all(|byte| byte.is_ascii_digit() || b"[]:+- ".contains(&byte)) =>
        {
            body.trim_ascii_start()
        }
        _ => text,
    }
}

/// The element at the beginning of a text (`None` for an unquoted NULL) and what follows it.
fn item(text: &str) -> Option<(Option<String>, &str)> {
    let mut item = String::new();
    let mut characters = text.char_indices();
    let quoted = text.starts_with('"');
    let mut escaped = false;
    // Blanks at the end of an unquoted element don't count, unless escaped.
    let mut kept = 0;
    if quoted {
        characters.next();
    }
    while let Some((position, character)) = characters.next() {
        match character {
            '\\' => {
                item.push(characters.next()?.1);
                (escaped, kept) = (true, item.len());
            }
            '"' if quoted => return Some((Some(item), text.get(position + 1..)?)),
            '"' | '{' if !quoted => return None,
            ',' | '}' if !quoted => {
                item.truncate(kept);
                let null = !escaped && item.eq_ignore_ascii_case("null");
                if item.is_empty() {
                    return None;
                }
                return Some(((!null).then_some(item), text.get(position..)?));
            }
            _ => {
                item.push(character);
                if !character.is_ascii_whitespace() {
                    kept = item.len();
                }
            }
        }
    }
    None
}

/// Reads `array_recv`'s form.
pub(super) fn binary(bytes: &[u8], element: u32) -> Result<ScalarValue> {
    let invalid = |reason: &str| ValueError::invalid_binary("array", reason);
    let mut rest = bytes;
    let mut word = || {
        let (word, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        Some(i32::from_be_bytes(*word))
    };
    let cut = || invalid("The value is cut short");
    let (dimensions, flags, oid) =
        (word().ok_or_else(cut)?, word().ok_or_else(cut)?, word().ok_or_else(cut)?.cast_unsigned());
    let dimensions = usize::try_from(dimensions)
        .ok()
        .filter(|dimensions| *dimensions <= ARRAY_DIMENSIONS_MAX)
        .ok_or_else(|| invalid("The number of dimensions is out of range"))?;
    if !matches!(flags, 0 | 1) {
        return Err(invalid("The flags are invalid"));
    }
    if oid != element {
        return Err(ValueError::invalid_binary(
            "array",
            format_args!("The elements are of type {} instead of {}", type_name(oid), type_name(element)),
        ));
    }
    let mut lengths = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        let (length, _lower_bound) = (word().ok_or_else(cut)?, word().ok_or_else(cut)?);
        lengths.push(usize::try_from(length).map_err(|_| invalid("A dimension is negative"))?);
    }
    let count = lengths.iter().try_fold(1_usize, |count, length| count.checked_mul(*length));
    let count = if dimensions == 0 { Some(0) } else { count };
    // Each element has a length of four bytes, so dimensions can't claim more than the message carries.
    let count = count.filter(|count| *count <= rest.len() / 4).ok_or_else(cut)?;
    let mut parts = Parts { lengths: levels(&lengths, count), elements: Vec::with_capacity(count) };
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        rest = after;
        let length = i32::from_be_bytes(*length);
        if length == -1 {
            parts.elements.push(None);
            continue;
        }
        let length = usize::try_from(length).map_err(|_| invalid("The length of an element is negative"))?;
        let (value, after) = rest.split_at_checked(length).ok_or_else(cut)?;
        rest = after;
        parts.elements.push(Some(binary::scalar(value, element)?));
    }
    if !rest.is_empty() {
        return Err(invalid("Bytes are left over at the end"));
    }
    parts.into_scalar(element)
}

/// The lengths of the lists of each level. An array without elements is a plain empty one, as in PostgreSQL.
fn levels(lengths: &[usize], count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![vec![0]];
    }
    let mut lists = 1;
    lengths
        .iter()
        .map(|length| {
            let level = vec![*length; lists];
            lists *= length;
            level
        })
        .collect()
}

fn internal(error: impl std::fmt::Display) -> ValueError {
    ValueError::new(Kind::Internal, "an array parameter could not be assembled").with_detail(format!("{error}."))
}
