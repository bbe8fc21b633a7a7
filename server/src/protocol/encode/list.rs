//! Lists of every layout as PostgreSQL arrays, in text and binary.
//!
//! An array of several dimensions is rectangular in PostgreSQL, a list of lists needn't be. In text a ragged list is
//! written the natural way (`{{1,2},{3},NULL}`); the binary form can't say it, so there it is an error.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use bytes::{BufMut, BytesMut};

use super::cell::{Cell, Column, cell};
use super::options::EncodeOptions;
use super::resolve::{Style, column};
use crate::protocol::error::{Kind, Result, ValueError};
use crate::protocol::types::{list_element, pg_type};

/// A column of lists: where the elements of each row lie, and the elements of all rows.
pub(super) struct Lists {
    ranges: Box<dyn Fn(usize) -> Range<usize> + Send + Sync>,
    pub(super) elements: ArrayRef,
}

impl Lists {
    /// The lists of a list column; `None` for other types.
    pub(super) fn new(array: &ArrayRef) -> Option<Self> {
        macro_rules! offsets {
            ($list:expr) => {{
                let (list, offsets) = ($list, $list.offsets().clone());
                let ranges = Box::new(move |row: usize| offsets[row] as usize..offsets[row + 1] as usize);
                Self { ranges, elements: list.values().clone() }
            }};
        }
        macro_rules! views {
            ($list:expr) => {{
                let (list, offsets, sizes) = ($list, $list.offsets().clone(), $list.sizes().clone());
                let ranges = Box::new(move |row: usize| {
                    let start = offsets[row] as usize;
                    start..start + sizes[row] as usize
                });
                Self { ranges, elements: list.values().clone() }
            }};
        }
        Some(match array.data_type() {
            DataType::List(_) => offsets!(array.as_list::<i32>()),
            DataType::LargeList(_) => offsets!(array.as_list::<i64>()),
            DataType::ListView(_) => views!(array.as_list_view::<i32>()),
            DataType::LargeListView(_) => views!(array.as_list_view::<i64>()),
            DataType::FixedSizeList(_, size) => {
                let size = *size as usize;
                let list = array.as_fixed_size_list();
                Self { ranges: Box::new(move |row| row * size..(row + 1) * size), elements: list.values().clone() }
            }
            _ => return None,
        })
    }

    /// Where the elements of a row lie. Empty or meaningless for a null row.
    pub(super) fn range(&self, row: usize) -> Range<usize> {
        (self.ranges)(row)
    }
}

/// `{1,NULL,3}`, quoted by `array_out`'s rules.
pub(super) fn text(array: &ArrayRef, options: &EncodeOptions) -> Result<Option<Box<dyn Cell>>> {
    let Some(lists) = Lists::new(array) else { return Ok(None) };
    let element = column(&lists.elements, Style::Text, options)?;
    let element_type = lists.elements.data_type();
    // Numbers and truth values never need quotes, and the braces of an inner list mustn't have any.
    let plain = element_type.is_numeric() || *element_type == DataType::Boolean || list_element(element_type).is_some();
    Ok(Some(cell(move |row, out| {
        out.put_u8(b'{');
        for (position, index) in lists.range(row).enumerate() {
            if position > 0 {
                out.put_u8(b',');
            }
            if element.is_null(index) {
                out.extend_from_slice(b"NULL");
                continue;
            }
            let start = out.len();
            element.write(index, out)?;
            if !plain {
                quote(out, start);
            }
        }
        out.put_u8(b'}');
        Ok(())
    })))
}

/// Quotes the text from `start` to the end of the buffer, if `array_out` would.
fn quote(out: &mut BytesMut, start: usize) {
    let text = out.get(start..).unwrap_or_default();
    let needed = text.is_empty()
        || text.eq_ignore_ascii_case(b"NULL")
        || text.iter().any(|byte| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t'..=b'\r'));
    if !needed {
        return;
    }
    // In place, from the back: what moves right never overtakes what is still to be read.
    let escapes = text.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let mut read = out.len();
    let mut write = read + escapes + 2;
    out.resize(write, b'"');
    write -= 1;
    while read > start {
        read -= 1;
        write -= 1;
        let byte = out[read];
        out[write] = byte;
        if matches!(byte, b'"' | b'\\') {
            write -= 1;
            out[write] = b'\\';
        }
    }
    out[start] = b'"';
}

/// `array_send`: dimensions, a flag for nulls, the element type, then each element with its length.
pub(super) fn binary(array: &ArrayRef, options: &EncodeOptions) -> Result<Option<Box<dyn Cell>>> {
    let mut levels = Vec::new();
    let mut elements = array.clone();
    while let Some(lists) = Lists::new(&elements) {
        let nulls = elements.logical_nulls();
        elements = lists.elements.clone();
        levels.push(Level { lists, nulls });
    }
    if levels.is_empty() {
        return Ok(None);
    }
    let leaf = column(&elements, Style::Binary, options)?;
    let leaf_oid = pg_type(elements.data_type()).oid;
    Ok(Some(Box::new(BinaryArray { levels, leaf, leaf_oid })))
}

struct Level {
    lists: Lists,
    nulls: Option<NullBuffer>,
}

impl Level {
    fn range(&self, row: usize) -> Result<Range<usize>> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Err(ragged("An inner list is null."));
        }
        Ok(self.lists.range(row))
    }
}

struct BinaryArray {
    /// The outermost list first.
    levels: Vec<Level>,
    leaf: Column,
    leaf_oid: u32,
}

impl Cell for BinaryArray {
    fn write(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        let Some((outer, inner)) = self.levels.split_first() else { return Ok(()) };
        let range = outer.lists.range(row);
        let lengths = dimensions(range.clone(), inner)?;
        out.put_i32(lengths.len() as i32);
        let flag = out.len();
        out.put_i32(0);
        out.put_u32(self.leaf_oid);
        for length in &lengths {
            out.put_i32(*length);
            out.put_i32(1);
        }
        if self.elements(range, inner, lengths.get(1..).unwrap_or_default(), out)?
            && let Some(lowest) = out.get_mut(flag + 3)
        {
            *lowest = 1;
        }
        Ok(())
    }
}

impl BinaryArray {
    /// Writes the elements of a list whose inner lists must have `lengths`. True if one of them is null.
    fn elements(&self, range: Range<usize>, inner: &[Level], lengths: &[i32], out: &mut BytesMut) -> Result<bool> {
        let mut any_null = false;
        let Some((level, deeper)) = inner.split_first() else {
            for index in range {
                any_null |= self.leaf.is_null(index);
                self.leaf.write_field(index, out)?;
            }
            return Ok(any_null);
        };
        for index in range {
            let range = level.range(index)?;
            if lengths.first().is_none_or(|length| *length as usize != range.len()) {
                return Err(ragged("Inner lists have different lengths."));
            }
            any_null |= self.elements(range, deeper, lengths.get(1..).unwrap_or_default(), out)?;
        }
        Ok(any_null)
    }
}

/// The lengths that the first lists of each level have; none for an empty array, which has no dimensions.
fn dimensions(mut range: Range<usize>, inner: &[Level]) -> Result<Vec<i32>> {
    let length = |range: &Range<usize>| {
        i32::try_from(range.len()).map_err(|_| ValueError::new(Kind::LimitExceeded, "array size exceeds the maximum"))
    };
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let mut lengths = vec![length(&range)?];
    for level in inner {
        if range.is_empty() {
            break;
        }
        range = level.range(range.start)?;
        lengths.push(length(&range)?);
    }
    Ok(lengths)
}

fn ragged(detail: &str) -> ValueError {
    ValueError::new(Kind::RaggedArray, "a list of lists that isn't rectangular has no binary form")
        .with_detail(detail)
        .with_hint("Ask for this column in text format, or cast it to text.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_quoted_as_array_out_quotes_them() {
        for (text, expected) in [
            ("abc", "abc"),
            ("", "\"\""),
            ("null", "\"null\""),
            ("nulls", "nulls"),
            ("a b", "\"a b\""),
            ("a,b", "\"a,b\""),
            ("{", "\"{\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("\u{b}", "\"\u{b}\""),
            ("\u{a0}", "\u{a0}"),
        ] {
            let mut out = BytesMut::from("x");
            out.extend_from_slice(text.as_bytes());
            quote(&mut out, 1);
            assert_eq!(&out[1..], expected.as_bytes());
        }
    }
}
