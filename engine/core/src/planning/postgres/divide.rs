//! `numeric / numeric`: at least 16 digits after the point where they fit, rounded half away from zero.
//!
//! Arrow's own division gives four digits more than the dividend has, cut off: `1.0 / 3` would be `0.33333`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, i256};
use arrow::error::ArrowError;
use datafusion::error::Result;

use super::Operation;
use crate::error::{Error, Kind};

/// As many as PostgreSQL gives at least (`NUMERIC_MIN_SIG_DIGITS`).
const SCALE: i16 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Divide;

impl Operation for Divide {
    fn name(&self) -> &'static str {
        "numeric_divide"
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let (dividend, divisor) = both(arguments)?;
        Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, result_scale(dividend, divisor)))
    }

    fn coerce(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let (dividend, divisor) = both(arguments)?;
        let decimal = |(precision, scale)| DataType::Decimal128(precision, scale);
        Ok(vec![decimal(dividend), decimal(divisor)])
    }

    fn apply(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        let [left, right] = arguments else { return Err(Error::internal("division takes two values").into()) };
        let (dividend, divisor) = (decimal(left.data_type())?, decimal(right.data_type())?);
        let scale = result_scale(dividend, divisor);
        let shift = scale - dividend.1 + divisor.1;
        let (left, right) = (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
        let value = |row: usize| -> Result<Option<i128>> {
            if left.is_null(row) || right.is_null(row) {
                return Ok(None);
            }
            divided(left.value(row), right.value(row), shift).map(Some)
        };
        let values = (0..left.len()).map(value).collect::<Result<Decimal128Array>>()?;
        Ok(Arc::new(values.with_precision_and_scale(DECIMAL128_MAX_PRECISION, scale)?))
    }
}

/// Precision and scale of both operands, integers as numbers without a fraction.
fn both(arguments: &[DataType]) -> Result<((u8, i8), (u8, i8))> {
    match arguments {
        [left, right] => Ok((decimal(left)?, decimal(right)?)),
        _ => Err(Error::internal("division takes two values").into()),
    }
}

fn decimal(data_type: &DataType) -> Result<(u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => Ok((*precision, *scale)),
        DataType::Int8 | DataType::UInt8 => Ok((3, 0)),
        DataType::Int16 | DataType::UInt16 => Ok((5, 0)),
        DataType::Int32 | DataType::UInt32 => Ok((10, 0)),
        DataType::Int64 | DataType::UInt64 | DataType::Null => Ok((20, 0)),
        other => {
            Err(Error::new(Kind::DatatypeMismatch, format!("a number cannot be divided by or into {other}")).into())
        }
    }
}

/// 16, or as many as leave room for the digits before the point, but not fewer than the dividend has.
fn result_scale(dividend: (u8, i8), divisor: (u8, i8)) -> i8 {
    let whole = i16::from(dividend.0) - i16::from(dividend.1) + i16::from(divisor.1);
    let room = i16::from(DECIMAL128_MAX_PRECISION) - whole;
    let least = i16::from(dividend.1.max(divisor.1).max(6));
    let scale = SCALE.min(room).max(least).min(i16::from(DECIMAL128_MAX_PRECISION));
    i8::try_from(scale).unwrap_or(i8::MAX)
}

fn divided(dividend: i128, divisor: i128, shift: i8) -> Result<i128> {
    if divisor == 0 {
        return Err(ArrowError::DivideByZero.into());
    }
    let shift = u32::try_from(shift).unwrap_or(0);
    let narrow = 10_i128.checked_pow(shift).and_then(|factor| dividend.checked_mul(factor));
    if let Some(scaled) = narrow {
        let (quotient, rest) = (scaled / divisor, scaled % divisor);
        let up = rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs();
        return Ok(if up { quotient + quotient_sign(dividend, divisor) } else { quotient });
    }
    wide(dividend, divisor, shift)
        .ok_or_else(|| Error::new(Kind::NumericValueOutOfRange, "value overflows numeric format").into())
}

fn wide(dividend: i128, divisor: i128, shift: u32) -> Option<i128> {
    let (wide_dividend, wide_divisor) = (i256::from_i128(dividend), i256::from_i128(divisor));
    let scaled = wide_dividend.checked_mul(i256::from_i128(10).checked_pow(shift)?)?;
    let (quotient, rest) = (scaled.checked_div(wide_divisor)?, scaled.checked_rem(wide_divisor)?);
    let absolute = |value: i256| if value.is_negative() { value.wrapping_neg() } else { value };
    let up = absolute(rest) >= absolute(wide_divisor).wrapping_sub(absolute(rest));
    let quotient = quotient.to_i128()?;
    if up { quotient.checked_add(quotient_sign(dividend, divisor)) } else { Some(quotient) }
}

fn quotient_sign(dividend: i128, divisor: i128) -> i128 {
    dividend.signum() * divisor.signum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_rounded_half_away_from_zero() {
        let check =
            |dividend, divisor, shift, expected| assert_eq!(divided(dividend, divisor, shift).unwrap(), expected);
        check(2, 3, 4, 6_667);
        check(-2, 3, 4, -6_667);
        check(1, 8, 2, 13);
        check(-1, 8, 2, -13);
        // Wider than 128 bits on the way.
        check(10_i128.pow(30), 10_i128.pow(20), 16, 10_i128.pow(26));
    }
}
