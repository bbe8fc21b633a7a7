//! Errors and notices as messages: from typed errors to ErrorResponse's fields.

use std::io;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

use crate::sqlstate::SqlState;

/// Whether the connection outlives the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    /// The connection is closed after it.
    Fatal,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// An error on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub severity: Severity,
    pub state: SqlState,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// Where in a COPY's data it happened.
    /// Boxed, since reports travel in results and few have one.
    pub context: Option<Box<String>>,
    /// 1-based, in characters of the statement's text.
    pub position: Option<usize>,
}

impl Report {
    pub fn new(state: SqlState, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: Severity::Error, state, message, detail: None, hint: None, context: None, position: None }
    }

    pub fn fatal(state: SqlState, message: impl Into<String>) -> Self {
        Self { severity: Severity::Fatal, ..Self::new(state, message) }
    }

    pub fn protocol_violation(message: impl Into<String>) -> Self {
        Self::new(SqlState::PROTOCOL_VIOLATION, message)
    }

    pub fn admin_shutdown() -> Self {
        Self::fatal(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
    }

    pub fn canceled(reason: &str) -> Self {
        Self::new(SqlState::QUERY_CANCELED, format!("canceling statement due to {reason}"))
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(Box::new(context.into()));
        self
    }

    pub fn is_fatal(&self) -> bool {
        self.severity == Severity::Fatal
    }

    pub fn into_message(self) -> PgWireBackendMessage {
        let severity = self.severity.word();
        let mut fields = vec![(b'S', severity.to_string()), (b'V', severity.to_string())];
        fields.push((b'C', self.state.0.to_string()));
        fields.push((b'M', without_nul(self.message)));
        fields.extend(self.detail.map(|detail| (b'D', without_nul(detail))));
        fields.extend(self.hint.map(|hint| (b'H', without_nul(hint))));
        fields.extend(self.context.map(|context| (b'W', without_nul(*context))));
        fields.extend(self.position.map(|position| (b'P', position.to_string())));
        PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fields))
    }
}

/// A notice (`NOTICE`, `WARNING`, `INFO`) as a message.
pub fn notice(severity: &str, message: String) -> PgWireBackendMessage {
    let state = if severity == "WARNING" { SqlState::WARNING } else { SqlState::SUCCESSFUL };
    PgWireBackendMessage::NoticeResponse(NoticeResponse::new(vec![
        (b'S', severity.to_string()),
        (b'V', severity.to_string()),
        (b'C', state.0.to_string()),
        (b'M', without_nul(message)),
    ]))
}

/// Strings on the wire end at NUL; one inside would shift everything behind it.
pub fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

impl From<alluvia_core::Error> for Report {
    fn from(error: alluvia_core::Error) -> Self {
        Self {
            severity: Severity::Error,
            state: error.kind.into(),
            message: error.message,
            detail: error.detail,
            hint: error.hint,
            context: None,
            position: error.position,
        }
    }
}

impl From<super::error::ValueError> for Report {
    fn from(error: super::error::ValueError) -> Self {
        Self {
            severity: Severity::Error,
            state: error.kind.into(),
            message: error.message,
            detail: error.detail,
            hint: error.hint,
            context: None,
            position: None,
        }
    }
}

/// Why a message could not be dealt with.
#[derive(Debug)]
pub enum Failure {
    /// The client is told.
    Report(Report),
    /// The client can't be told: its socket is broken.
    Disconnected(io::Error),
}

impl<E: Into<Report>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Report(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvia_core::{Error, Kind};

    #[test]
    fn an_error_keeps_all_its_fields() {
        let error = Error::new(Kind::UndefinedTable, "relation \"a\0b\" does not exist").with_hint("look").at(Some(15));
        let PgWireBackendMessage::ErrorResponse(response) = Report::from(error).into_message() else {
            panic!("not an error response");
        };
        let fields: Vec<(u8, &str)> = response.fields.iter().map(|(code, text)| (*code, text.as_str())).collect();
        assert_eq!(
            fields,
            vec![
                (b'S', "ERROR"),
                (b'V', "ERROR"),
                (b'C', "42P01"),
                (b'M', "relation \"a\u{fffd}b\" does not exist"),
                (b'H', "look"),
                (b'P', "15"),
            ]
        );
    }
}
