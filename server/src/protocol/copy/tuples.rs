//! Tuples of the binary form into fields: a signature, flags, and for each row a count and each field with its length.

use super::SIGNATURE;
use super::fault::malformed;
use super::gathered::Gathered;
use crate::protocol::report::Report;

/// Flags that a reader may ignore.
const OPTIONAL_FLAGS: u32 = 0xffff;
const FLAG_OIDS: u32 = 1 << 16;

/// Extension of the header that is skipped.
const EXTENSION_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Tuples {
    header_read: bool,
}

pub(super) enum Taken {
    /// No whole tuple yet.
    More,
    /// So many bytes, which were the header or a tuple; `row` says which.
    Bytes { taken: usize, row: bool },
    /// So many bytes, of which the last say that no tuple follows.
    End { taken: usize },
}

impl Tuples {
    /// Takes what `bytes` begin with, if it is there as a whole.
    pub fn take(&mut self, bytes: &[u8], width: usize, ended: bool, fields: &mut Gathered) -> Result<Taken, Report> {
        if !self.header_read {
            let taken = match header(bytes)? {
                Some(taken) => taken,
                None if ended => return Err(cut_header(bytes)),
                None => return Ok(Taken::More),
            };
            self.header_read = true;
            return Ok(Taken::Bytes { taken, row: false });
        }
        let Some(count) = bytes.get(..2).and_then(|count| count.try_into().ok()).map(i16::from_be_bytes) else {
            // PostgreSQL takes data that end here for complete.
            return if ended && bytes.is_empty() {
                Ok(Taken::End { taken: 0 })
            } else if ended {
                Err(cut_short())
            } else {
                Ok(Taken::More)
            };
        };
        if count == -1 {
            return Ok(Taken::End { taken: 2 });
        }
        if usize::try_from(count).ok() != Some(width) {
            return Err(malformed(format!("row field count is {count}, expected {width}")));
        }
        match measure(bytes, width)? {
            Some(taken) => {
                gather(bytes, width, fields);
                Ok(Taken::Bytes { taken, row: true })
            }
            None if ended => Err(cut_short()),
            None => Ok(Taken::More),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at.checked_add(4)?).and_then(|number| number.try_into().ok()).map(i32::from_be_bytes)
}

/// Bytes of the header, if it is there.
fn header(bytes: &[u8]) -> Result<Option<usize>, Report> {
    let begun = bytes.get(..SIGNATURE.len()).unwrap_or(bytes);
    if !SIGNATURE.starts_with(begun) {
        return Err(malformed("COPY file signature not recognized"));
    }
    let at = SIGNATURE.len();
    let (Some(flags), Some(extension)) = (number(bytes, at), number(bytes, at + 4)) else { return Ok(None) };
    let flags = flags.cast_unsigned();
    if flags & FLAG_OIDS != 0 {
        return Err(malformed("invalid COPY file header (WITH OIDS)"));
    }
    if flags & !OPTIONAL_FLAGS != 0 {
        return Err(malformed("unrecognized critical flags in COPY file header"));
    }
    let wrong = || malformed("invalid COPY file header (wrong length)");
    let extension = usize::try_from(extension).map_err(|_| wrong())?;
    if extension > EXTENSION_BYTES_MAX {
        return Err(wrong());
    }
    let end = at + 8 + extension;
    Ok((bytes.len() >= end).then_some(end))
}

/// What the header lacks.
fn cut_header(bytes: &[u8]) -> Report {
    match bytes.len() {
        0..11 => malformed("COPY file signature not recognized"),
        11..15 => malformed("invalid COPY file header (missing flags)"),
        15..19 => malformed("invalid COPY file header (missing length)"),
        _ => malformed("invalid COPY file header (wrong length)"),
    }
}

fn cut_short() -> Report {
    malformed("unexpected EOF in COPY data")
}

/// Bytes of a tuple, if it is there as a whole.
fn measure(bytes: &[u8], width: usize) -> Result<Option<usize>, Report> {
    let mut at = 2;
    for _ in 0..width {
        let Some(length) = number(bytes, at) else { return Ok(None) };
        at += 4;
        match usize::try_from(length) {
            Ok(length) => at += length,
            Err(_) if length == -1 => {}
            Err(_) => return Err(malformed("invalid field size")),
        }
    }
    Ok((bytes.len() >= at).then_some(at))
}

fn gather(bytes: &[u8], width: usize, fields: &mut Gathered) {
    let mut at = 2;
    for _ in 0..width {
        let length = number(bytes, at).and_then(|length| usize::try_from(length).ok());
        at += 4;
        match length {
            Some(length) => {
                fields.put(bytes.get(at..at + length).unwrap_or_default());
                fields.end_field();
                at += length;
            }
            None => fields.end_null(),
        }
    }
}
