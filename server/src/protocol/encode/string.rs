//! Text and bytes.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use bytes::{BufMut, BytesMut};

use super::cell::{Cell, cell};
use super::options::{ByteaOutput, EncodeOptions};

/// The bytes of a text column, the same in both formats.
pub(super) fn text(array: &ArrayRef) -> Option<Box<dyn Cell>> {
    macro_rules! text {
        ($values:expr) => {{
            let values = $values.clone();
            cell(move |row, out| {
                out.extend_from_slice(values.value(row).as_bytes());
                Ok(())
            })
        }};
    }
    Some(match array.data_type() {
        DataType::Utf8 => text!(array.as_string::<i32>()),
        DataType::LargeUtf8 => text!(array.as_string::<i64>()),
        DataType::Utf8View => text!(array.as_string_view()),
        _ => return None,
    })
}

/// A column of bytes as they are: `bytea` in binary.
pub(super) fn bytea_binary(array: &ArrayRef) -> Option<Box<dyn Cell>> {
    bytea(array, put_raw)
}

/// A column of bytes as `bytea_output` asks.
pub(super) fn bytea_text(array: &ArrayRef, options: &EncodeOptions) -> Option<Box<dyn Cell>> {
    bytea(
        array,
        match options.bytea_output {
            ByteaOutput::Hex => put_hex,
            ByteaOutput::Escape => put_escaped,
        },
    )
}

fn bytea(array: &ArrayRef, put: fn(&[u8], &mut BytesMut)) -> Option<Box<dyn Cell>> {
    macro_rules! bytea {
        ($values:expr) => {{
            let values = $values.clone();
            cell(move |row, out| {
                put(values.value(row), out);
                Ok(())
            })
        }};
    }
    Some(match array.data_type() {
        DataType::Binary => bytea!(array.as_binary::<i32>()),
        DataType::LargeBinary => bytea!(array.as_binary::<i64>()),
        DataType::BinaryView => bytea!(array.as_binary_view()),
        DataType::FixedSizeBinary(_) => bytea!(array.as_fixed_size_binary()),
        _ => return None,
    })
}

fn put_raw(value: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(value);
}

fn put_hex(value: &[u8], out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 + value.len() * 2);
    out.put_slice(b"\\x");
    for byte in value {
        out.put_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

fn put_escaped(value: &[u8], out: &mut BytesMut) {
    for byte in value {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b' '..=b'~' => out.put_u8(*byte),
            _ => out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytea_in_both_styles() {
        let mut out = BytesMut::new();
        put_hex(&[0, 0x7f, 0xff], &mut out);
        assert_eq!(&out[..], b"\\x007fff");
        out.clear();
        put_escaped(&[b'a', b'\\', b'\'', 0, 0x7f, 0xff], &mut out);
        assert_eq!(&out[..], b"a\\\\'\\000\\177\\377");
    }
}
