//! The session settings that decide how values are written.

use crate::protocol::error::{Kind, Result, ValueError};
use crate::protocol::time_zone::TimeZone;

/// The format of a value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Format code 0.
    #[default]
    Text,
    /// Format code 1.
    Binary,
}

impl Format {
    /// The format of a code in a Bind message; an unknown code is a protocol violation.
    pub fn from_code(code: i16) -> Result<Self> {
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            _ => Err(ValueError::new(Kind::ProtocolViolation, format!("unsupported format code: {code}"))),
        }
    }

    /// The code that stands for this format in a message.
    pub fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }

    /// The format of each of `count` values, from the codes of a Bind message: none means text for all, one counts
    /// for all, otherwise there must be one for each.
    pub fn expand(codes: &[i16], count: usize) -> Result<Vec<Self>> {
        let formats = codes.iter().map(|code| Self::from_code(*code)).collect::<Result<Vec<_>>>()?;
        Self::spread(&formats, count)
    }

    /// [`Format::expand`] over formats already read.
    pub fn spread(formats: &[Self], count: usize) -> Result<Vec<Self>> {
        match formats {
            [] => Ok(vec![Self::Text; count]),
            [one] => Ok(vec![*one; count]),
            each if each.len() == count => Ok(each.to_vec()),
            other => Err(ValueError::new(
                Kind::ProtocolViolation,
                format!("bind message has {} formats but there are {count} values", other.len()),
            )),
        }
    }
}

/// `bytea_output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteaOutput {
    /// `\x00ff`.
    #[default]
    Hex,
    /// `\000\377`.
    Escape,
}

/// `IntervalStyle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntervalStyle {
    /// `1 year 2 mons 3 days 04:05:06`.
    #[default]
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs`.
    PostgresVerbose,
    /// `+1-2 +3 +4:05:06`.
    SqlStandard,
    /// `P1Y2M3DT4H5M6S`.
    Iso8601,
}

/// How values are written in text. `DateStyle` isn't among them: dates are always written in ISO style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodeOptions {
    /// The zone that a `timestamp with time zone` is shown in.
    pub time_zone: TimeZone,
    /// Above zero (the default is 1), floats are written with the fewest digits that read back the same; otherwise
    /// with 15 (`float8`) or 6 (`float4`) significant digits plus this number.
    pub extra_float_digits: i32,
    /// The form of `bytea`.
    pub bytea_output: ByteaOutput,
    /// The form of `interval`.
    pub interval_style: IntervalStyle,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self {
            time_zone: TimeZone::default(),
            extra_float_digits: 1,
            bytea_output: ByteaOutput::default(),
            interval_style: IntervalStyle::default(),
        }
    }
}
