//! Parameters of a Bind message to values of the engine.

mod array;
mod binary;
mod convert;
mod datetime;
mod interval;
mod number;
mod scalar;
#[cfg(test)]
mod tests;
mod text;

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;

use super::encode::Format;
use super::error::{Kind, Result, ValueError};
use super::time_zone::TimeZone;
use super::types::{BPCHAR, JSON, NAME, TEXT, UNKNOWN, VARCHAR, arrow_type, element_oid, pg_type, type_name};

/// Reads one parameter.
///
/// `oid` is the type the client declared (0 or `unknown`: it left the type to the server) and `wanted` the type the
/// engine inferred (`Null`: it inferred none). The result is of the type `wanted` wherever that loses nothing. A value
/// that doesn't fit (a fraction for an integer column) keeps the type it was declared with, for the engine to
/// coerce the comparison as it would for a literal. Text for something that isn't text is read as that something.
/// `None` is NULL. A local time with a zone is read in `time_zone`.
pub fn parameter(
    bytes: Option<&[u8]>,
    format: Format,
    oid: u32,
    wanted: &DataType,
    time_zone: &TimeZone,
) -> Result<ScalarValue> {
    let Source { oid, format } = Source::of(oid, format, wanted);
    let Some(bytes) = bytes else { return null(oid, wanted) };
    let value = match (element_oid(oid), format) {
        (Some(element), Format::Text) => array::text(utf8(bytes)?, element, time_zone)?,
        (Some(element), Format::Binary) => array::binary(bytes, element)?,
        (None, Format::Text) => text::scalar(utf8(bytes)?, oid, wanted, time_zone)?,
        (None, Format::Binary) => binary::scalar(bytes, oid)?,
    };
    Ok(convert::fit(value, wanted, time_zone))
}

/// The PostgreSQL type and format that the bytes are really in.
struct Source {
    oid: u32,
    format: Format,
}

impl Source {
    fn of(oid: u32, format: Format, wanted: &DataType) -> Self {
        let wanted_oid = match wanted {
            DataType::Null => TEXT,
            _ => pg_type(wanted).oid,
        };
        match oid {
            0 | UNKNOWN => Self { oid: wanted_oid, format },
            // The binary form of text is the text itself, so it is read as the text of what is wanted.
            TEXT | VARCHAR | BPCHAR | NAME if wanted_oid != JSON => Self { oid: wanted_oid, format: Format::Text },
            _ => Self { oid, format },
        }
    }
}

fn null(source: u32, wanted: &DataType) -> Result<ScalarValue> {
    let data_type = match wanted {
        DataType::Null => arrow_type(source).ok_or_else(|| unsupported(source))?,
        wanted => wanted.clone(),
    };
    ScalarValue::try_new_null(&data_type).map_err(|error| {
        ValueError::new(Kind::Unsupported, format!("parameters of type {data_type} are not supported"))
            .with_detail(format!("{error}."))
    })
}

/// The text of a parameter: UTF-8 without a zero byte, which no text in PostgreSQL holds.
fn utf8(bytes: &[u8]) -> Result<&str> {
    let invalid = |byte: u8| {
        ValueError::new(Kind::InvalidEncoding, format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}"))
    };
    if bytes.contains(&0) {
        return Err(invalid(0));
    }
    std::str::from_utf8(bytes).map_err(|error| invalid(bytes.get(error.valid_up_to()).copied().unwrap_or_default()))
}

fn unsupported(oid: u32) -> ValueError {
    ValueError::new(
        Kind::Unsupported,
        format!("parameters of the type with OID {oid} ({}) are not supported", type_name(oid)),
    )
    .with_hint("Send the parameter as text and cast it in the statement.")
}
