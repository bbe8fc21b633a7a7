//! Bytes into frames: type byte, length, body. Sizes are checked before anything is kept or reserved.

use bytes::{Bytes, BytesMut};

use super::report::Report;
use crate::sqlstate::SqlState;

/// Longest message that a client may send, in bytes of its length field.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// One message, not yet decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub body: Bytes,
}

/// Message types a client may send once the connection is set up.
const KINDS: &[u8] = b"QPBDECHSXFdcfp";

/// Takes the next whole frame off the buffer; `None` while it isn't complete. An error here means that the stream
/// can't be followed any longer: the connection has to end.
pub fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, Report> {
    let Some(&kind) = buffer.first() else { return Ok(None) };
    if !KINDS.contains(&kind) {
        return Err(Report::fatal(SqlState::PROTOCOL_VIOLATION, format!("invalid frontend message type {kind}")));
    }
    let Some(length) = buffer.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes) else {
        return Ok(None);
    };
    let length = usize::try_from(length).unwrap_or(0);
    if length < 4 {
        return Err(Report::fatal(SqlState::PROTOCOL_VIOLATION, "invalid message length"));
    }
    if length > MESSAGE_BYTES_MAX {
        let message = format!("message of {length} bytes exceeds the limit of {MESSAGE_BYTES_MAX} bytes");
        return Err(Report::fatal(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    if buffer.len() <= length {
        // A step at a time: a length that is only announced costs nothing.
        buffer.reserve((length + 1 - buffer.len()).min(1 << 20));
        return Ok(None);
    }
    let mut frame = buffer.split_to(length + 1);
    let body = frame.split_off(5).freeze();
    Ok(Some(Frame { kind, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_off_whole_or_not_at_all() {
        let mut buffer = BytesMut::from(&b"Q\0\0\0\x06a\0S\0\0\0\x04X\0\0"[..]);
        assert_eq!(take(&mut buffer), Ok(Some(Frame { kind: b'Q', body: Bytes::from_static(b"a\0") })));
        assert_eq!(take(&mut buffer), Ok(Some(Frame { kind: b'S', body: Bytes::new() })));
        assert_eq!(take(&mut buffer), Ok(None));
        assert_eq!(&buffer[..], b"X\0\0");
    }

    #[test]
    fn foreign_bytes_and_lengths_end_the_stream() {
        for bytes in [&b"\x16\x03\x01"[..], b"Q\0\0\0\x03", b"Q\xff\xff\xff\xff", b"Q\x7f\xff\xff\xff"] {
            assert!(take(&mut BytesMut::from(bytes)).unwrap_err().is_fatal());
        }
    }

    #[test]
    fn an_announced_length_reserves_little() {
        let mut buffer = BytesMut::from(&b"Q\x03\xff\xff\xff"[..]);
        assert_eq!(take(&mut buffer), Ok(None));
        assert!(buffer.capacity() <= 2 << 20);
    }
}
