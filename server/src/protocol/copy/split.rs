//! Lines into fields: what a backslash says in text, and quotes in CSV.

use alluvia_core::CopyFormat;

use super::fault::{malformed, not_utf8};
use super::gathered::Gathered;
use crate::protocol::report::Report;

/// Appends the fields of a line of text. The line is UTF-8; escapes may spell bytes that aren't.
pub(super) fn text(line: &[u8], format: &CopyFormat, fields: &mut Gathered) -> Result<(), Report> {
    let null = format.null.as_bytes();
    let mut rest = line;
    loop {
        let start = rest;
        let mut spelled = false;
        loop {
            let plain = rest.iter().position(|byte| *byte == format.delimiter || *byte == b'\\').unwrap_or(rest.len());
            let (before, from) = rest.split_at(plain);
            fields.put(before);
            rest = from;
            if rest.first() != Some(&b'\\') {
                break;
            }
            spelled |= escape(&mut rest, fields);
        }
        // NULL is told by what was sent, not by what it spells.
        let sent = start.len() - rest.len();
        if start.get(..sent) == Some(null) {
            fields.end_null();
        } else {
            if spelled && let Some(report) = not_utf8(fields.written()) {
                return Err(report);
            }
            fields.end_field();
        }
        match rest.split_first() {
            Some((_, after)) => rest = after,
            None => return Ok(()),
        }
    }
}

/// Takes a backslash and what belongs to it; whether that was a byte by its number.
fn escape(rest: &mut &[u8], fields: &mut Gathered) -> bool {
    let after = rest.get(1..).unwrap_or_default();
    let digits = |bytes: &[u8], radix: u32, most: usize| {
        bytes.iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count()
    };
    let number = |bytes: &[u8], radix: u32| {
        let digits = bytes.iter().filter_map(|byte| char::from(*byte).to_digit(radix));
        // Three octal digits may say more than a byte holds.
        digits.fold(0_u32, |number, digit| number * radix + digit) as u8
    };
    let (byte, length) = match after.first() {
        None => {
            *rest = after;
            return false;
        }
        Some(b'0'..=b'7') => {
            let length = digits(after, 8, 3);
            (number(after.get(..length).unwrap_or_default(), 8), length)
        }
        Some(b'x') if digits(after.get(1..).unwrap_or_default(), 16, 2) > 0 => {
            let length = digits(after.get(1..).unwrap_or_default(), 16, 2);
            (number(after.get(1..=length).unwrap_or_default(), 16), 1 + length)
        }
        Some(b'b') => (0x08, 1),
        Some(b'f') => (0x0c, 1),
        Some(b'n') => (b'\n', 1),
        Some(b'r') => (b'\r', 1),
        Some(b't') => (b'\t', 1),
        Some(b'v') => (0x0b, 1),
        Some(other) => (*other, 1),
    };
    fields.put(&[byte]);
    *rest = after.get(length..).unwrap_or_default();
    byte >= 0x80 || byte == 0
}

/// Appends the fields of a line of CSV.
pub(super) fn csv(line: &[u8], format: &CopyFormat, fields: &mut Gathered) -> Result<(), Report> {
    let mut rest = line;
    loop {
        let first = fields.fields();
        let mut quoted = false;
        let start = rest;
        loop {
            let plain = rest.iter().position(|byte| *byte == format.delimiter || *byte == format.quote);
            let (before, from) = rest.split_at(plain.unwrap_or(rest.len()));
            fields.put(before);
            rest = from;
            if rest.first() != Some(&format.quote) {
                break;
            }
            quoted = true;
            rest = inside_quotes(rest.get(1..).unwrap_or_default(), format, fields)?;
        }
        let sent = start.len() - rest.len();
        let flag = |flags: &[bool]| flags.get(first).copied().unwrap_or_default();
        let mut null = !quoted && start.get(..sent) == Some(format.null.as_bytes());
        if null && flag(&format.force_not_null) {
            null = false;
        } else if !null && flag(&format.force_null) {
            null = fields.written() == format.null.as_bytes();
        }
        if null {
            fields.end_null()
        } else {
            fields.end_field()
        }
        match rest.split_first() {
            Some((_, after)) => rest = after,
            None => return Ok(()),
        }
    }
}

/// Takes what stands up to the closing quote, and this.
fn inside_quotes<'a>(mut rest: &'a [u8], format: &CopyFormat, fields: &mut Gathered) -> Result<&'a [u8], Report> {
    loop {
        let stop = rest.iter().position(|byte| *byte == format.escape || *byte == format.quote);
        let (before, from) = rest.split_at(stop.unwrap_or(rest.len()));
        fields.put(before);
        let Some((byte, after)) = from.split_first() else {
            return Err(malformed("unterminated CSV quoted field"));
        };
        let escaped = after.first().filter(|next| **next == format.escape || **next == format.quote);
        rest = after;
        if *byte == format.escape
            && let Some(next) = escaped
        {
            fields.put(&[*next]);
            rest = after.get(1..).unwrap_or_default();
        } else if *byte == format.quote {
            return Ok(rest);
        } else {
            fields.put(&[*byte]);
        }
    }
}
