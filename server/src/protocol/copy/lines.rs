//! Lines off a stream of bytes: where each ends, in text and in CSV. The first line's end decides how all lines end.

use super::fault::malformed;
use crate::protocol::report::Report;

/// How lines end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    Newline,
    Return,
    ReturnNewline,
}

/// What stands at the beginning of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// No whole line yet.
    More,
    /// A line, its end left out; `taken` bytes are done with. `within`: newlines inside its quotes.
    Line { length: usize, taken: usize, within: u64 },
    /// What stands before the mark that ends the data (`\.`), or before the end of the bytes.
    Last { length: usize, within: u64 },
}

#[derive(Debug)]
pub(super) struct Lines {
    csv: bool,
    quote: u8,
    /// `None` when it is the quote itself, which then only opens and closes.
    escape: Option<u8>,
    end: LineEnd,
    /// Bytes that decide anything.
    stops: [bool; 256],
    /// How far the current line has been looked at, and what was seen.
    at: usize,
    in_quotes: bool,
    after_escape: bool,
    within: u64,
}

impl Lines {
    pub fn text() -> Self {
        Self::new(false, 0, None)
    }

    pub fn csv(quote: u8, escape: u8) -> Self {
        Self::new(true, quote, (escape != quote).then_some(escape))
    }

    fn new(csv: bool, quote: u8, escape: Option<u8>) -> Self {
        let mut stops = [false; 256];
        for byte in [b'\n', b'\r', b'\\'].into_iter().chain(csv.then_some(quote)).chain(escape) {
            stops[usize::from(byte)] = true;
        }
        let end = LineEnd::Unknown;
        Self { csv, quote, escape, end, stops, at: 0, in_quotes: false, after_escape: false, within: 0 }
    }

    /// Looks for the end of the line that `bytes` begins with. After [`Cut::More`] the same bytes come again, with
    /// more behind them; what was looked at isn't looked at twice. `ended`: no more follow.
    pub fn cut(&mut self, bytes: &[u8], ended: bool) -> Result<Cut, Report> {
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let skipped = rest.iter().position(|byte| self.stops[usize::from(*byte)]);
            let skipped = skipped.unwrap_or(rest.len());
            if skipped > 0 {
                self.after_escape = false;
            }
            self.at += skipped;
            let Some(byte) = bytes.get(self.at).copied() else {
                return Ok(if ended { self.last(bytes.len()) } else { Cut::More });
            };
            let following = bytes.get(self.at + 1).copied();
            // What follows decides: wait for it.
            if following.is_none() && !ended && matches!(byte, b'\\' | b'\r') {
                return Ok(Cut::More);
            }
            if byte == b'\\' && (!self.csv || self.at == 0) && following == Some(b'.') {
                match self.end_mark(bytes, ended)? {
                    Mark::Unknown => return Ok(Cut::More),
                    Mark::End => return Ok(self.last(self.at)),
                    Mark::Data => {}
                }
            }
            if self.csv {
                self.note_quotes(byte);
            }
            if let (b'\n' | b'\r', false) = (byte, self.in_quotes) {
                let taken = self.line_end(byte, following)?;
                let (length, within) = (self.at, self.within);
                self.start_over();
                return Ok(Cut::Line { length, taken: length + taken, within });
            }
            // Outside CSV a backslash takes the byte behind it along, be it a newline.
            let pair = byte == b'\\' && !self.csv && following.is_some();
            self.at += if pair { 2 } else { 1 };
        }
    }

    fn last(&mut self, length: usize) -> Cut {
        let within = self.within;
        self.start_over();
        Cut::Last { length, within }
    }

    fn start_over(&mut self) {
        (self.at, self.in_quotes, self.after_escape, self.within) = (0, false, false, 0);
    }

    fn note_quotes(&mut self, byte: u8) {
        if self.in_quotes && self.escape == Some(byte) {
            self.after_escape = !self.after_escape;
        }
        if byte == self.quote && !self.after_escape {
            self.in_quotes = !self.in_quotes;
        }
        if self.escape != Some(byte) {
            self.after_escape = false;
        }
        let counted = if self.end == LineEnd::Newline { b'\n' } else { b'\r' };
        if self.in_quotes && byte == counted {
            self.within += 1;
        }
    }

    /// Bytes of the line's end.
    fn line_end(&mut self, byte: u8, following: Option<u8>) -> Result<usize, Report> {
        match (byte, self.end) {
            (b'\n', LineEnd::Unknown | LineEnd::Newline) => {
                self.end = LineEnd::Newline;
                Ok(1)
            }
            (b'\n', _) if self.csv => {
                Err(malformed("unquoted newline found in data").with_hint("Use quoted CSV field to represent newline."))
            }
            (b'\n', _) => {
                Err(malformed("literal newline found in data").with_hint("Use \"\\n\" to represent newline."))
            }
            (_, LineEnd::Unknown | LineEnd::ReturnNewline) if following == Some(b'\n') => {
                self.end = LineEnd::ReturnNewline;
                Ok(2)
            }
            (_, LineEnd::Unknown | LineEnd::Return) => {
                self.end = LineEnd::Return;
                Ok(1)
            }
            _ if self.csv => Err(malformed("unquoted carriage return found in data")
                .with_hint("Use quoted CSV field to represent carriage return.")),
            _ => Err(malformed("literal carriage return found in data")
                .with_hint("Use \"\\r\" to represent carriage return.")),
        }
    }

    /// Whether the `\.` that stands here ends the data.
    fn end_mark(&self, bytes: &[u8], ended: bool) -> Result<Mark, Report> {
        let next = bytes.get(self.at + 2).copied();
        let after = bytes.get(self.at + 3).copied();
        let wants_two = self.end == LineEnd::ReturnNewline;
        if !ended && (next.is_none() || (wants_two && next == Some(b'\r') && after.is_none())) {
            return Ok(Mark::Unknown);
        }
        let ending = match (wants_two, next, after) {
            (true, Some(b'\r'), after) => after,
            (true, Some(b'\n'), _) if !self.csv => return Err(mark_mismatch()),
            (true, ..) => None,
            (false, next, _) => next,
        };
        match (ending, self.end) {
            (Some(b'\n'), LineEnd::Return) | (Some(b'\r'), LineEnd::Newline | LineEnd::ReturnNewline) => {
                Err(mark_mismatch())
            }
            (Some(b'\n' | b'\r'), _) => Ok(Mark::End),
            _ if self.csv => Ok(Mark::Data),
            _ => Err(malformed("end-of-copy marker corrupt")),
        }
    }
}

enum Mark {
    Unknown,
    End,
    Data,
}

fn mark_mismatch() -> Report {
    malformed("end-of-copy marker does not match previous newline style")
}
