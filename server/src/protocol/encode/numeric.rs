//! Decimals of every width, and unsigned 64-bit integers, as PostgreSQL's `numeric`.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, UInt64Type};
use bytes::{BufMut, BytesMut};

use super::cell::{Cell, cell};
use crate::protocol::error::Result;

/// Writes a number given as sign, digits without leading zeros (`0` for zero) and scale.
type Write = fn(bool, &[u8], i32, &mut BytesMut);

/// Text of a `Decimal32` to `Decimal256` or `UInt64` column.
pub(super) fn text(array: &ArrayRef) -> Option<Box<dyn Cell>> {
    numeric(array, write_text)
}

/// Binary form of the same columns.
pub(super) fn binary(array: &ArrayRef) -> Option<Box<dyn Cell>> {
    numeric(array, write_binary)
}

fn numeric(array: &ArrayRef, write: Write) -> Option<Box<dyn Cell>> {
    use arrow::datatypes::DataType;
    // Each width has a type of its own and the same code: digits of the magnitude, then the common writer.
    macro_rules! decimal {
        ($type:ty, $scale:expr) => {{
            let (values, scale) = (array.as_primitive::<$type>().values().clone(), i32::from($scale));
            cell(move |row, out| {
                let value = values[row];
                let mut digits = itoa::Buffer::new();
                write(value < 0, digits.format(value.unsigned_abs()).as_bytes(), scale, out);
                Ok(())
            })
        }};
    }
    Some(match array.data_type() {
        DataType::Decimal32(_, scale) => decimal!(Decimal32Type, *scale),
        DataType::Decimal64(_, scale) => decimal!(Decimal64Type, *scale),
        DataType::Decimal128(_, scale) => decimal!(Decimal128Type, *scale),
        DataType::Decimal256(_, scale) => {
            let (values, scale) = (array.as_primitive::<Decimal256Type>().values().clone(), i32::from(*scale));
            cell(move |row, out| wide(&values[row].to_string(), scale, write, out))
        }
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>().values().clone();
            cell(move |row, out| {
                write(false, itoa::Buffer::new().format(values[row]).as_bytes(), 0, out);
                Ok(())
            })
        }
        _ => return None,
    })
}

fn wide(text: &str, scale: i32, write: Write, out: &mut BytesMut) -> Result<()> {
    let digits = text.strip_prefix('-');
    write(digits.is_some(), digits.unwrap_or(text).as_bytes(), scale, out);
    Ok(())
}

/// `numeric_out`: all digits of the scale are shown, a negative scale shows its zeros.
pub(super) fn write_text(negative: bool, digits: &[u8], scale: i32, out: &mut BytesMut) {
    if negative {
        out.put_u8(b'-');
    }
    if scale <= 0 {
        out.extend_from_slice(digits);
        if digits != b"0" {
            out.put_bytes(b'0', scale.unsigned_abs() as usize);
        }
        return;
    }
    let scale = scale as usize;
    match digits.split_at_checked(digits.len().saturating_sub(scale)) {
        Some((integer, fraction)) if !integer.is_empty() => {
            out.extend_from_slice(integer);
            out.put_u8(b'.');
            out.extend_from_slice(fraction);
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.put_bytes(b'0', scale - digits.len());
            out.extend_from_slice(digits);
        }
    }
}

/// `numeric_send`: count of base-10000 groups, weight of the first, sign, display scale, then the groups. Zeros at
/// either end aren't stored.
pub(super) fn write_binary(negative: bool, digits: &[u8], scale: i32, out: &mut BytesMut) {
    let integer_digits = digits.len() as i32 - scale;
    let weight = (integer_digits + 3).div_euclid(4) - 1;
    // The digit that stands for 10^position, zero where the number has none.
    let digit = |position: i32| {
        let index = usize::try_from(integer_digits - 1 - position).ok();
        i16::from(index.and_then(|index| digits.get(index)).map_or(0, |digit| digit - b'0'))
    };
    let group = |power: i32| (0..4).rev().fold(0_i16, |value, place| value * 10 + digit(power * 4 + place));
    let lowest = (-scale).div_euclid(4);
    let last = (lowest..=weight).find(|power| group(*power) != 0);
    let count = last.map_or(0, |last| weight - last + 1);
    out.put_i16(count as i16);
    out.put_i16(if count == 0 { 0 } else { weight as i16 });
    out.put_u16(if negative { 0x4000 } else { 0 });
    out.put_i16(scale.max(0) as i16);
    for power in (weight + 1 - count..=weight).rev() {
        out.put_i16(group(power));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_of_either_sign() {
        for (digits, scale, expected) in [
            ("0", 2, "0.00"),
            ("5", 2, "0.05"),
            ("12345", 2, "123.45"),
            ("12", -3, "12000"),
            ("0", -3, "0"),
            ("7", 0, "7"),
            ("1", 76, &format!("0.{}1", "0".repeat(75))),
        ] {
            let mut out = BytesMut::new();
            write_text(false, digits.as_bytes(), scale, &mut out);
            assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        }
    }

    #[test]
    fn binary_groups_carry_no_zeros_at_the_ends() {
        let binary = |negative, digits: &str, scale| {
            let mut out = BytesMut::new();
            write_binary(negative, digits.as_bytes(), scale, &mut out);
            out.chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect::<Vec<_>>()
        };
        assert_eq!(binary(false, "0", 2), [0, 0, 0, 2]);
        assert_eq!(binary(true, "12345", 2), [2, 0, 0x4000, 2, 123, 4500]);
        assert_eq!(binary(false, "100000000", 0), [1, 2, 0, 0, 1]);
        assert_eq!(binary(false, "12", -3), [2, 1, 0, 0, 1, 2000]);
        assert_eq!(binary(false, "1", 9), [1, -3, 0, 9, 1000]);
    }
}
