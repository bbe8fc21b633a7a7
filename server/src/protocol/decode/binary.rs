//! Single values in binary form, as PostgreSQL's receive functions read them.

use datafusion_common::ScalarValue;

use super::number::Decimal;
use super::{scalar, text, unsupported, utf8};
use crate::protocol::calendar::EPOCH_SHIFT_DAYS;
use crate::protocol::error::{Result, ValueError};
use crate::protocol::types::*;

/// Reads bytes as a value of the type `oid`.
pub(super) fn scalar(bytes: &[u8], oid: u32) -> Result<ScalarValue> {
    Ok(match oid {
        BOOL => ScalarValue::Boolean(Some(fixed::<1>(bytes, oid)? != [0])),
        INT2 => ScalarValue::Int16(Some(i16::from_be_bytes(fixed(bytes, oid)?))),
        INT4 => ScalarValue::Int32(Some(i32::from_be_bytes(fixed(bytes, oid)?))),
        INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(fixed(bytes, oid)?))),
        OID => ScalarValue::UInt32(Some(u32::from_be_bytes(fixed(bytes, oid)?))),
        FLOAT4 => ScalarValue::Float32(Some(f32::from_be_bytes(fixed(bytes, oid)?))),
        FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(fixed(bytes, oid)?))),
        NUMERIC => Decimal::from_binary(bytes)?.into_scalar()?,
        TEXT | VARCHAR | BPCHAR | NAME => ScalarValue::Utf8(Some(utf8(bytes)?.to_owned())),
        JSON => ScalarValue::Utf8(Some(text::json(utf8(bytes)?)?.to_owned())),
        JSONB => match bytes.split_first() {
            Some((1, document)) => ScalarValue::Utf8(Some(text::json(utf8(document)?)?.to_owned())),
            _ => return Err(ValueError::invalid_binary("jsonb", "The version number is not 1")),
        },
        UUID => ScalarValue::Utf8(Some(scalar::uuid_text(u128::from_be_bytes(fixed(bytes, oid)?)))),
        BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        DATE => match i32::from_be_bytes(fixed(bytes, oid)?) {
            i32::MIN | i32::MAX => return Err(scalar::infinite("date")),
            days => scalar::date(i64::from(days) + EPOCH_SHIFT_DAYS)?,
        },
        TIME => scalar::time(i64::from_be_bytes(fixed(bytes, oid)?))?,
        TIMESTAMP => scalar::timestamp(i64::from_be_bytes(fixed(bytes, oid)?), false)?,
        TIMESTAMPTZ => scalar::timestamp(i64::from_be_bytes(fixed(bytes, oid)?), true)?,
        INTERVAL => {
            let whole = u128::from_be_bytes(fixed(bytes, oid)?);
            scalar::interval(whole as i32, (whole >> 32) as i32, (whole >> 64) as i64)?
        }
        _ => return Err(unsupported(oid)),
    })
}

/// The bytes of a value whose type has one size.
fn fixed<const SIZE: usize>(bytes: &[u8], oid: u32) -> Result<[u8; SIZE]> {
    bytes.try_into().map_err(|_| {
        ValueError::invalid_binary(type_name(oid), format_args!("{} bytes came instead of {SIZE}", bytes.len()))
    })
}
