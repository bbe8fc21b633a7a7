//! Where in the data an error is, told as PostgreSQL tells it.

use crate::protocol::error::{Kind, ValueError};
use crate::protocol::report::Report;

/// Bytes of the data that an error repeats.
const SHOWN_BYTES_MAX: usize = 100;

/// Data that aren't rows of the format.
pub(super) fn malformed(message: impl Into<String>) -> Report {
    Report::from(ValueError::new(Kind::BadCopyFormat, message))
}

/// Bytes that aren't text, named as far as their first byte says the character would go.
pub(super) fn not_utf8(bytes: &[u8]) -> Option<Report> {
    let at = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.iter().position(|byte| *byte == 0)?,
        Err(error) => {
            bytes.iter().position(|byte| *byte == 0).map_or(error.valid_up_to(), |nul| nul.min(error.valid_up_to()))
        }
    };
    let bad = bytes.get(at..).unwrap_or_default();
    let length = match bad.first() {
        Some(0xf0..=0xf7) => 4,
        Some(0xe0..=0xef) => 3,
        Some(0xc0..=0xdf) => 2,
        _ => 1,
    };
    let shown: Vec<String> = bad.iter().take(length).map(|byte| format!("0x{byte:02x}")).collect();
    let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
    Some(Report::from(ValueError::new(Kind::InvalidEncoding, message)))
}

/// A line of the data and what it says.
pub(super) fn in_line(report: Report, table: &str, line: u64, text: &[u8]) -> Report {
    report.with_context(format!("COPY {table}, line {line}: \"{}\"", excerpt(text)))
}

/// A line whose words aren't known.
pub(super) fn at_line(report: Report, table: &str, line: u64) -> Report {
    report.with_context(format!("COPY {table}, line {line}"))
}

/// A value of a line of text.
pub(super) fn in_value(report: Report, table: &str, line: u64, column: &str, value: &[u8]) -> Report {
    report.with_context(format!("COPY {table}, line {line}, column {column}: \"{}\"", excerpt(value)))
}

/// A value of a tuple.
pub(super) fn at_column(report: Report, table: &str, line: u64, column: &str) -> Report {
    report.with_context(format!("COPY {table}, line {line}, column {column}"))
}

fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.len() <= SHOWN_BYTES_MAX {
        return text.into_owned();
    }
    let end = (0..=SHOWN_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}...", text.get(..end).unwrap_or_default())
}
