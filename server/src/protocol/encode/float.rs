//! Floating-point numbers, digit for digit as PostgreSQL writes them.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Float16Type, Float32Type, Float64Type};
use bytes::{BufMut, BytesMut};

use super::cell::{Cell, cell};
use super::options::EncodeOptions;

/// Text of a `Float64` column.
pub(super) fn text64(array: &ArrayRef, options: &EncodeOptions) -> Box<dyn Cell> {
    let (values, extra_digits) = (array.as_primitive::<Float64Type>().values().clone(), options.extra_float_digits);
    cell(move |row, out| {
        write_f64(values[row], extra_digits, out);
        Ok(())
    })
}

/// Text of a `Float32` column.
pub(super) fn text32(array: &ArrayRef, options: &EncodeOptions) -> Box<dyn Cell> {
    let (values, extra_digits) = (array.as_primitive::<Float32Type>().values().clone(), options.extra_float_digits);
    cell(move |row, out| {
        write_f32(values[row], extra_digits, out);
        Ok(())
    })
}

/// Text of a `Float16` column: the same value as a `float4`, which is what the column is announced as.
pub(super) fn text16(array: &ArrayRef, options: &EncodeOptions) -> Box<dyn Cell> {
    let (values, extra_digits) = (array.as_primitive::<Float16Type>().values().clone(), options.extra_float_digits);
    cell(move |row, out| {
        write_f32(values[row].to_f32(), extra_digits, out);
        Ok(())
    })
}

/// Text of a `float8`.
pub(super) fn write_f64(value: f64, extra_digits: i32, out: &mut BytesMut) {
    if !value.is_finite() {
        return write_special(value.is_nan(), value < 0.0, out);
    }
    if extra_digits <= 0 {
        return write_rounded(value, (15 + extra_digits).max(1) as usize, out);
    }
    let mut buffer = ryu::Buffer::new();
    let mut number = Digits::read(buffer.format_finite(value));
    let bits = value.to_bits();
    let (mantissa, exponent) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i32);
    if exponent > 1 && number.is_halfway(mantissa | 1 << 52, exponent - 1_075, mantissa == 0) {
        number = number.more_digits(17, |digits| format!("{value:.digits$e}"), |text| text.parse() == Ok(value));
    }
    number.write(value.is_sign_negative(), 15, out);
}

/// Text of a `float4`.
pub(super) fn write_f32(value: f32, extra_digits: i32, out: &mut BytesMut) {
    if !value.is_finite() {
        return write_special(value.is_nan(), value < 0.0, out);
    }
    if extra_digits <= 0 {
        return write_rounded(f64::from(value), (6 + extra_digits).max(1) as usize, out);
    }
    let mut buffer = ryu::Buffer::new();
    let mut number = Digits::read(buffer.format_finite(value));
    let bits = value.to_bits();
    let (mantissa, exponent) = (u64::from(bits & ((1 << 23) - 1)), (bits >> 23 & 0xff) as i32);
    if exponent > 1 && number.is_halfway(mantissa | 1 << 23, exponent - 150, mantissa == 0) {
        number = number.more_digits(9, |digits| format!("{value:.digits$e}"), |text| text.parse() == Ok(value));
    }
    number.write(value.is_sign_negative(), 6, out);
}

fn write_special(nan: bool, negative: bool, out: &mut BytesMut) {
    out.extend_from_slice(match (nan, negative) {
        (true, _) => b"NaN",
        (_, true) => b"-Infinity",
        _ => b"Infinity",
    });
}

/// C's `%.{digits}g`, which PostgreSQL uses when `extra_float_digits` isn't above zero.
fn write_rounded(value: f64, digits: usize, out: &mut BytesMut) {
    let text = format!("{value:.*e}", digits - 1);
    Digits::read(&text).write(value.is_sign_negative(), digits as i32, out);
}

/// Significant digits with the decimal exponent of the first: `0.00012` is `12` with -4, and zero is `0` with 0.
#[derive(Clone, Copy)]
struct Digits {
    digits: [u8; 20],
    count: usize,
    exponent: i32,
}

impl Digits {
    /// Reads `-1.5e-7`, `1500.0` or `0.0015`; the sign is left aside, as are zeros on either end.
    fn read(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut number = Self { digits: [b'0'; 20], count: 0, exponent: exponent.parse::<i32>().unwrap_or(0) - 1 };
        let (mut before_point, mut significant_count) = (true, 0);
        for byte in mantissa.bytes() {
            match byte {
                b'.' => before_point = false,
                b'0'..=b'9' => {
                    let leading_zero = number.count == 0 && byte == b'0';
                    // A digit before the point raises the exponent; a zero that leads after it lowers it.
                    number.exponent += i32::from(before_point && !leading_zero);
                    number.exponent -= i32::from(!before_point && leading_zero);
                    if !leading_zero && let Some(place) = number.digits.get_mut(number.count) {
                        *place = byte;
                        number.count += 1;
                        significant_count = if byte == b'0' { significant_count } else { number.count };
                    }
                }
                _ => {}
            }
        }
        if significant_count == 0 {
            return Self { digits: [b'0'; 20], count: 1, exponent: 0 };
        }
        number.count = significant_count;
        number
    }

    fn significant(&self) -> &[u8] {
        &self.digits[..self.count]
    }

    /// True when the digits lie exactly half-way between `mantissa * 2^exponent` and a neighbour. Such digits read
    /// back right only under round-half-even, so PostgreSQL's algorithm passes over them (`STRICTLY_SHORTEST` is
    /// off in its `d2s.c`): 1e23 is written 9.999999999999999e+22.
    fn is_halfway(&self, mantissa: u64, exponent: i32, lowest_mantissa: bool) -> bool {
        let trailing_zeros = self.exponent + 1 - self.count as i32;
        // Five to the 27th is over 2^54: a greater power can't divide half-way's odd number.
        if exponent < 1 || !(0..27).contains(&trailing_zeros) || !mantissa.is_multiple_of(2) {
            return false;
        }
        let digits = self.significant().iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        let odd_times_power = u128::from(digits) * 5_u128.pow(trailing_zeros as u32);
        let equals = |odd: u64, power: i32| {
            let shift = power - trailing_zeros;
            (0..64).contains(&shift) && u128::from(odd) << shift == odd_times_power
        };
        equals(2 * mantissa + 1, exponent - 1)
            || equals(2 * mantissa - 1, exponent - 1)
            || lowest_mantissa && equals(4 * mantissa - 1, exponent - 2)
    }

    /// The fewest digits beyond these that read back as the value.
    fn more_digits(
        self,
        digits_max: usize,
        format: impl Fn(usize) -> String,
        reads_back: impl Fn(&str) -> bool,
    ) -> Self {
        let candidates = (self.count..digits_max).map(format);
        let mut read = candidates.filter(|text| reads_back(text)).map(|text| Self::read(&text));
        read.find(|number| number.significant() != self.significant()).unwrap_or(self)
    }

    /// Writes plainly where -4 <= exponent < `exponent_limit`, otherwise with an exponent of two digits or more.
    fn write(&self, negative: bool, exponent_limit: i32, out: &mut BytesMut) {
        if negative {
            out.put_u8(b'-');
        }
        let digits = self.significant();
        let integer_count = (self.exponent + 1).max(0) as usize;
        if !(-4..exponent_limit).contains(&self.exponent) {
            out.put_u8(digits[0]);
            if digits.len() > 1 {
                out.put_u8(b'.');
                out.extend_from_slice(&digits[1..]);
            }
            out.extend_from_slice(if self.exponent < 0 { b"e-" } else { b"e+" });
            let exponent = self.exponent.unsigned_abs();
            if exponent < 10 {
                out.put_u8(b'0');
            }
            out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
        } else if self.exponent < 0 {
            out.extend_from_slice(b"0.");
            out.put_bytes(b'0', (-self.exponent - 1) as usize);
            out.extend_from_slice(digits);
        } else if digits.len() <= integer_count {
            out.extend_from_slice(digits);
            out.put_bytes(b'0', integer_count - digits.len());
        } else {
            out.extend_from_slice(&digits[..integer_count]);
            out.put_u8(b'.');
            out.extend_from_slice(&digits[integer_count..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check64(value: f64, expected: &str) {
        let mut out = BytesMut::new();
        write_f64(value, 1, &mut out);
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    }

    #[test]
    fn doubles_are_written_as_postgres_writes_them() {
        check64(1.0, "1");
        check64(0.1, "0.1");
        check64(-0.0, "-0");
        check64(1e14, "100000000000000");
        check64(1e15, "1e+15");
        check64(123456789012345.6, "123456789012345.6");
        check64(1e20, "1e+20");
        check64(1e23, "9.999999999999999e+22");
        check64(0.0001, "0.0001");
        check64(0.00001, "1e-05");
        check64(f64::MIN_POSITIVE, "2.2250738585072014e-308");
        check64(5e-324, "5e-324");
        check64(f64::MAX, "1.7976931348623157e+308");
        check64(f64::NAN, "NaN");
        check64(f64::NEG_INFINITY, "-Infinity");
    }

    #[test]
    fn fewer_digits_are_c_s_general_format() {
        for (value, extra_digits, expected) in [
            (0.1 + 0.2, 0, "0.3"),
            (123456789.0, -12, "1.23e+08"),
            (0.0, 0, "0"),
            (99.99, -15, "1e+02"),
            (1e-5, 0, "1e-05"),
        ] {
            let mut out = BytesMut::new();
            write_f64(value, extra_digits, &mut out);
            assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        }
    }
}
