//! Sizes in bytes as people write them: `512MB`, `1.5GB`, `64kB`, or a plain number of bytes.

use std::str::FromStr;

use serde::Deserialize;

/// A number of bytes. Units are powers of 1024, as in PostgreSQL's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Size {
    pub bytes: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("invalid size: \"{0}\" (write it as 512MB or 4GB; units are B, kB, MB, GB and TB)")]
pub struct InvalidSize(String);

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let invalid = || InvalidSize(text.to_string());
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let exponent = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 1,
            "m" | "mb" | "mib" => 2,
            "g" | "gb" | "gib" => 3,
            "t" | "tb" | "tib" => 4,
            _ => return Err(invalid()),
        };
        let bytes = number.parse::<f64>().map_err(|_| invalid())? * 1024_f64.powi(exponent);
        // Beyond 2^53 the number would no longer be the one that was written.
        if !(1.0..9_007_199_254_740_992.0).contains(&bytes) {
            return Err(invalid());
        }
        Ok(Self { bytes: bytes as usize })
    }
}

/// A size in the configuration file is a string with a unit, or a number of bytes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes(u64),
}

impl TryFrom<Written> for Size {
    type Error = InvalidSize;

    fn try_from(written: Written) -> Result<Self, InvalidSize> {
        match written {
            Written::Text(text) => text.parse(),
            Written::Bytes(bytes) => bytes.to_string().parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_units() {
        for (text, bytes) in [("1", 1), ("64kB", 65_536), ("512MB", 536_870_912), ("1.5 GB", 1_610_612_736)] {
            assert_eq!(text.parse::<Size>().unwrap(), Size { bytes });
        }
        for text in ["", "GB", "0", "-1", "1XB", "1e30", "99999999TB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
