//! `numeric` in text and binary, into the narrowest decimal that holds all its digits.

use std::str::FromStr as _;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, i256};
use datafusion_common::ScalarValue;

use crate::protocol::error::{Kind, Result, ValueError};

/// A decimal number: `digits` (ASCII, no zeros ahead, none for zero) times ten to the minus `scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    scale: i64,
}

impl Decimal {
    fn new(negative: bool, mut digits: Vec<u8>, scale: i64) -> Self {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        Self { negative, digits, scale }
    }

    /// `[+-]digits[.digits][e[+-]digits]`, with blanks around.
    pub(super) fn from_text(text: &str) -> Result<Self> {
        let invalid = || ValueError::invalid_text("numeric", text);
        let trimmed = text.trim_ascii();
        let (negative, unsigned) = match trimmed.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| invalid())?),
            None => (unsigned, 0),
        };
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = integer.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(invalid());
        }
        Ok(Self::new(negative, digits, fraction.len() as i64 - i64::from(exponent)))
    }

    /// Count of base-10000 groups, weight of the first, sign, display scale, groups.
    pub(super) fn from_binary(bytes: &[u8]) -> Result<Self> {
        let invalid = |reason: &str| ValueError::invalid_binary("numeric", reason);
        let mut words = bytes.chunks_exact(2).map(|pair| match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        });
        let mut word = || words.next().ok_or_else(|| invalid("The value is cut short"));
        let (count, weight, sign, scale) = (word()?, word()? as i16, word()?, word()?);
        if bytes.len() != 8 + 2 * usize::from(count) {
            return Err(invalid("The length doesn't match the number of digits"));
        }
        if scale > 0x3fff {
            return Err(invalid("The scale is invalid"));
        }
        let negative = match sign {
            0 => false,
            0x4000 => true,
            0xc000 | 0xd000 | 0xf000 => {
                return Err(ValueError::new(Kind::NumberOutOfRange, "a numeric parameter must be a finite number")
                    .with_hint("Send NaN and infinity as double precision."));
            }
            _ => return Err(invalid("The sign is invalid")),
        };
        let mut digits = Vec::with_capacity(usize::from(count) * 4);
        for _ in 0..count {
            let group = word()?;
            if group > 9_999 {
                return Err(invalid("A digit is invalid"));
            }
            let place = |power: u16| b'0' + (group / power % 10) as u8;
            digits.extend([place(1_000), place(100), place(10), place(1)]);
        }
        // Scale of the digits as they stand. Those that the display scale hides are dropped, as PostgreSQL drops them.
        let stored_scale = (i64::from(count) - i64::from(weight) - 1) * 4;
        let (stored_scale, scale) =
            if digits.is_empty() { (0, i64::from(scale)) } else { (stored_scale, i64::from(scale)) };
        let hidden = usize::try_from(stored_scale - scale).unwrap_or(0);
        digits.truncate(digits.len().saturating_sub(hidden));
        let missing = usize::try_from(scale - stored_scale).unwrap_or(0);
        // Weight and scale have 16 bits: at most 147,455 digits are filled up.
        if digits.iter().any(|digit| *digit != b'0') {
            digits.resize(digits.len() + missing, b'0');
        }
        Ok(Self::new(negative, digits, scale))
    }

    /// Digits a decimal type needs for the number at a scale that isn't negative.
    fn precision(&self) -> usize {
        self.digits.len().max(usize::try_from(self.scale).unwrap_or(usize::MAX)).max(1)
    }

    /// As a `Decimal128`, or a `Decimal256` when it takes more than 38 digits, of just the digits it has.
    pub(super) fn into_scalar(mut self) -> Result<ScalarValue> {
        let limit = usize::from(DECIMAL256_MAX_PRECISION);
        if self.digits.is_empty() {
            self.scale = self.scale.clamp(0, limit as i64);
        }
        if let Ok(zeros) = usize::try_from(-self.scale)
            && zeros <= limit
        {
            // A negative scale is written out: not every function of the engine knows one.
            self.digits.resize(self.digits.len() + if self.digits.is_empty() { 0 } else { zeros }, b'0');
            self.scale = 0;
        }
        while self.precision() > limit && self.scale > 0 && self.digits.last() == Some(&b'0') {
            self.digits.pop();
            self.scale -= 1;
        }
        let precision = self.precision();
        if self.scale < 0 || precision > limit {
            return Err(ValueError::new(
                Kind::NumberOutOfRange,
                format!("a numeric parameter has more than {limit} digits"),
            ));
        }
        self.build(precision as u8, self.scale as i8)
    }

    fn build(&self, precision: u8, scale: i8) -> Result<ScalarValue> {
        let sign = if self.negative { "-" } else { "" };
        let digits = std::str::from_utf8(&self.digits).unwrap_or_default();
        let text = if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}") };
        let overflow = || ValueError::number_out_of_range("numeric", &text);
        if precision <= DECIMAL128_MAX_PRECISION {
            let value = text.parse::<i128>().map_err(|_| overflow())?;
            return Ok(ScalarValue::Decimal128(Some(value), precision, scale));
        }
        let value = i256::from_str(&text).map_err(|_| overflow())?;
        Ok(ScalarValue::Decimal256(Some(value), precision, scale))
    }
}

/// Decimals brought to one type, that of the widest integer part and the finest scale among them: the elements of an
/// array share their type. Other values are left as they are.
pub(super) fn unify(values: &mut [ScalarValue]) -> Result<()> {
    let shape = |value: &ScalarValue| match value {
        ScalarValue::Decimal128(Some(_), precision, scale) | ScalarValue::Decimal256(Some(_), precision, scale) => {
            Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale)))
        }
        _ => None,
    };
    let shapes = values.iter().filter_map(shape);
    let Some((integer, scale)) = shapes.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1))) else {
        return Ok(());
    };
    let precision = u8::try_from(integer + scale).ok().filter(|precision| *precision <= DECIMAL256_MAX_PRECISION);
    let too_wide = || {
        ValueError::new(
            Kind::NumberOutOfRange,
            format!("the numeric elements of an array together take more than {DECIMAL256_MAX_PRECISION} digits"),
        )
    };
    let (precision, scale) = (precision.ok_or_else(too_wide)?.max(1), scale as i8);
    let common = if precision <= DECIMAL128_MAX_PRECISION {
        arrow::datatypes::DataType::Decimal128(precision, scale)
    } else {
        arrow::datatypes::DataType::Decimal256(precision, scale)
    };
    for value in values {
        *value = value.cast_to(&common).map_err(|_| too_wide())?;
    }
    Ok(())
}
