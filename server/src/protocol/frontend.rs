//! Frames into messages. Every read is checked against the frame's end, and text must be UTF-8: `pgwire`'s own decoder
//! reads past a short frame (a panic, or bytes of the next message) and replaces bad text silently.

use bytes::{Buf, Bytes};

use super::frame::Frame;
use super::report::Report;
use crate::sqlstate::SqlState;

/// A message from the client, after start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrontendMessage {
    Query(String),
    Parse(Parse),
    Bind(Bind),
    Describe(Target),
    Close(Target),
    Execute {
        portal: String,
        /// 0 means no limit.
        rows_max: u64,
    },
    Flush,
    Sync,
    FunctionCall,
    /// Data of a COPY that was never begun: PostgreSQL ignores it too, since it may be on its way when COPY fails.
    CopyStray,
    Password,
    Terminate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parse {
    pub name: String,
    pub query: String,
    /// 0 leaves a type to the server.
    pub parameter_oids: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    pub portal: String,
    pub statement: String,
    pub parameter_formats: Vec<i16>,
    pub parameters: Vec<Option<Bytes>>,
    pub result_formats: Vec<i16>,
}

/// What Describe and Close speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Statement(String),
    Portal(String),
}

/// Whether an error in a message of this type makes the server skip until Sync.
pub fn skips_until_sync(kind: u8) -> bool {
    matches!(kind, b'P' | b'B' | b'D' | b'E' | b'C' | b'H')
}

impl FrontendMessage {
    pub fn decode(frame: Frame) -> Result<Self, Report> {
        let mut body = Reader(frame.body);
        let message = match frame.kind {
            b'Q' => Self::Query(body.text()?),
            b'P' => {
                Self::Parse(Parse { name: body.text()?, query: body.text()?, parameter_oids: body.list(Reader::oid)? })
            }
            b'B' => Self::Bind(Bind {
                portal: body.text()?,
                statement: body.text()?,
                parameter_formats: body.list(Reader::int16)?,
                parameters: body.list(Reader::value)?,
                result_formats: body.list(Reader::int16)?,
            }),
            b'D' => Self::Describe(body.target()?),
            b'C' => Self::Close(body.target()?),
            b'E' => Self::Execute { portal: body.text()?, rows_max: u64::try_from(body.int32()?).unwrap_or(0) },
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            // Bodies that nothing here reads.
            b'F' => return Ok(Self::FunctionCall),
            b'p' => return Ok(Self::Password),
            _ => return Ok(Self::CopyStray),
        };
        body.end()?;
        Ok(message)
    }
}

struct Reader(Bytes);

impl Reader {
    fn int16(&mut self) -> Result<i16, Report> {
        self.0.try_get_i16().map_err(|_| short())
    }

    fn int32(&mut self) -> Result<i32, Report> {
        self.0.try_get_i32().map_err(|_| short())
    }

    fn oid(&mut self) -> Result<u32, Report> {
        self.0.try_get_u32().map_err(|_| short())
    }

    fn text(&mut self) -> Result<String, Report> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(short)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(text.into()).map_err(|error| invalid_utf8(&error))
    }

    /// A counted list; counts are unsigned 16-bit numbers. Nothing is reserved beyond what the frame can hold.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, Report>) -> Result<Vec<T>, Report> {
        let count = self.0.try_get_u16().map_err(|_| short())?;
        let mut items = Vec::with_capacity(usize::from(count).min(self.0.len()));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Length and bytes; length -1 is NULL.
    fn value(&mut self) -> Result<Option<Bytes>, Report> {
        let length = self.int32()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| short())?;
        if length > self.0.len() {
            return Err(short());
        }
        Ok(Some(self.0.split_to(length)))
    }

    fn target(&mut self) -> Result<Target, Report> {
        let kind = self.0.try_get_u8().map_err(|_| short())?;
        let name = self.text()?;
        match kind {
            b'S' => Ok(Target::Statement(name)),
            b'P' => Ok(Target::Portal(name)),
            _ => Err(Report::protocol_violation(format!("invalid target of Describe or Close: {kind}"))),
        }
    }

    fn end(&self) -> Result<(), Report> {
        if self.0.is_empty() { Ok(()) } else { Err(Report::protocol_violation("invalid message format")) }
    }
}

fn short() -> Report {
    Report::protocol_violation("insufficient data left in message")
}

fn invalid_utf8(error: &std::string::FromUtf8Error) -> Report {
    let start = error.utf8_error().valid_up_to();
    let length = error.utf8_error().error_len().unwrap_or(usize::MAX);
    let bytes = error.as_bytes().iter().skip(start).take(length.min(4));
    let bytes: Vec<String> = bytes.map(|byte| format!("0x{byte:02x}")).collect();
    let message = format!("invalid byte sequence for encoding \"UTF8\": {}", bytes.join(" "));
    Report::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(kind: u8, body: &'static [u8]) -> Result<FrontendMessage, Report> {
        FrontendMessage::decode(Frame { kind, body: Bytes::from_static(body) })
    }

    #[test]
    fn bind_reads_formats_values_and_null() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\x01\0\x01";
        let expected = Bind {
            portal: "p".into(),
            statement: "s".into(),
            parameter_formats: vec![1],
            parameters: vec![Some(Bytes::from_static(b"ab")), None],
            result_formats: vec![1],
        };
        assert_eq!(decode(b'B', body), Ok(FrontendMessage::Bind(expected)));
    }

    #[test]
    fn short_long_and_lying_frames_are_protocol_violations() {
        for (kind, body) in [
            (b'E', &b"\0"[..]),
            (b'E', b"\0\0\0\0\0\0"),
            (b'Q', b"select 1"),
            (b'P', b"\0\0\xff\xff\0\0\0\x17"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),
            (b'D', b"Zname\0"),
            (b'C', b""),
            (b'S', b"x"),
        ] {
            assert_eq!(decode(kind, body).unwrap_err().state, SqlState::PROTOCOL_VIOLATION, "{}", kind as char);
        }
    }

    #[test]
    fn text_must_be_utf8() {
        let report = decode(b'Q', b"select '\xe4\xff'\0").unwrap_err();
        assert_eq!(report.state, SqlState::CHARACTER_NOT_IN_REPERTOIRE);
        assert_eq!(report.message, "invalid byte sequence for encoding \"UTF8\": 0xe4");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..20_000 {
            let mut body = Vec::new();
            for _ in 0..(state % 40) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                body.push(if state & 3 == 0 { 0 } else { (state >> 32) as u8 });
            }
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            for kind in *b"QPBDECHSXFdcfp" {
                let _ = FrontendMessage::decode(Frame { kind, body: Bytes::from(body.clone()) });
            }
        }
    }
}
