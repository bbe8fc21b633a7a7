//! The one error of value conversion: what went wrong between an Arrow value and PostgreSQL's form of it.
//! `Kind` names the condition; its SQLSTATE is looked up where all codes live.

/// The condition behind a [`ValueError`]. The SQLSTATE that PostgreSQL gives it stands beside each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 22P02: text that isn't a value of the type.
    InvalidText,
    /// 22P03: bytes that aren't the binary form of the type.
    InvalidBinary,
    /// 22007: text that isn't a date, time or interval.
    InvalidDateTime,
    /// 22008: a date, time or interval that PostgreSQL can't represent.
    DateTimeOutOfRange,
    /// 22003: a number outside the range of its type.
    NumberOutOfRange,
    /// 22021: text that isn't UTF-8, or holds a zero byte.
    InvalidEncoding,
    /// 22023: a setting or argument with a value that doesn't exist (an unknown time zone).
    InvalidArgument,
    /// 22004: a null where none can be written (a key of a map).
    NullNotAllowed,
    /// 2202E: nested lists of different lengths, which PostgreSQL's arrays can't hold.
    RaggedArray,
    /// 54000: a value, row or nesting over the limits of the protocol.
    LimitExceeded,
    /// 22P04: data of a COPY that aren't rows of its format.
    BadCopyFormat,
    /// 0A000: a PostgreSQL type that has no counterpart here.
    Unsupported,
    /// 08P01: the client broke the protocol.
    ProtocolViolation,
    /// XX000: the engine delivered something other than it announced.
    Internal,
}

/// An error in PostgreSQL's shape: a lowercase message, and where it helps a detail and a hint as sentences.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    /// The condition, for the SQLSTATE.
    pub kind: Kind,
    /// The primary message.
    pub message: String,
    /// What exactly was found.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The result of converting a value.
pub type Result<T, E = ValueError> = std::result::Result<T, E>;

impl ValueError {
    /// An error of `kind` with its primary message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: None, hint: None }
    }

    /// Adds the detail sentence.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the hint sentence.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 22P02, worded as PostgreSQL words it. The text is cut to 64 characters so that no error repeats a document.
    pub(crate) fn invalid_text(type_name: &str, text: &str) -> Self {
        Self::new(Kind::InvalidText, format!("invalid input syntax for type {type_name}: \"{}\"", excerpt(text)))
    }

    /// 22007, worded as PostgreSQL words it.
    pub(crate) fn invalid_date_time(type_name: &str, text: &str) -> Self {
        Self::new(Kind::InvalidDateTime, format!("invalid input syntax for type {type_name}: \"{}\"", excerpt(text)))
    }

    /// 22P03 with the reason.
    pub(crate) fn invalid_binary(type_name: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(Kind::InvalidBinary, format!("incorrect binary data format for type {type_name}"))
            .with_detail(format!("{reason}."))
    }

    /// 22003, worded as PostgreSQL words it.
    pub(crate) fn number_out_of_range(type_name: &str, text: &str) -> Self {
        Self::new(Kind::NumberOutOfRange, format!("value \"{}\" is out of range for type {type_name}", excerpt(text)))
    }

    /// 22008, worded as PostgreSQL words it.
    pub(crate) fn out_of_range(type_name: &str) -> Self {
        Self::new(Kind::DateTimeOutOfRange, format!("{type_name} out of range"))
    }
}

/// The first 64 characters of a text, for an error message.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
