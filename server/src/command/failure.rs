//! Why a command failed, as it is told on standard error.

use std::fmt;
use std::process::ExitCode;

use alluvia_core::Kind;
use alluvia_server::ListenError;
use alluvia_server::protocol::report::Report;

/// Printed in psql's layout: `ERROR:  message`, `DETAIL:  ...`, `HINT:  ...`.
#[derive(Debug)]
pub struct CommandError {
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    context: Option<String>,
    exit_code: u8,
}

/// The command ran, and something failed.
const EXIT_FAILED: u8 = 1;
/// The command was asked for in a way in which it can't run: arguments, configuration file, addresses.
const EXIT_USAGE: u8 = 2;

impl CommandError {
    pub fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None, hint: None, context: None, exit_code: EXIT_FAILED }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit_code: EXIT_USAGE, ..Self::failed(message) }
    }

    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_code)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ERROR:  {}", self.message)?;
        if let Some(detail) = &self.detail {
            write!(formatter, "\nDETAIL:  {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "\nHINT:  {hint}")?;
        }
        if let Some(context) = &self.context {
            write!(formatter, "\nCONTEXT:  {context}")?;
        }
        Ok(())
    }
}

impl From<alluvia_core::Error> for CommandError {
    fn from(error: alluvia_core::Error) -> Self {
        let exit_code = if error.kind == Kind::ConfigurationInvalid { EXIT_USAGE } else { EXIT_FAILED };
        Self { message: error.message, detail: error.detail, hint: error.hint, context: None, exit_code }
    }
}

impl From<alluvia_server::protocol::error::ValueError> for CommandError {
    fn from(error: alluvia_server::protocol::error::ValueError) -> Self {
        Self { message: error.message, detail: error.detail, hint: error.hint, context: None, exit_code: EXIT_FAILED }
    }
}

impl From<Report> for CommandError {
    fn from(report: Report) -> Self {
        let Report { message, detail, hint, context, .. } = report;
        Self { message, detail, hint, context: context.map(|context| *context), exit_code: EXIT_FAILED }
    }
}

impl From<ListenError> for CommandError {
    fn from(error: ListenError) -> Self {
        let exit_code = if matches!(error, ListenError::NotLoopback(_)) { EXIT_USAGE } else { EXIT_FAILED };
        Self {
            message: error.to_string(),
            detail: error.detail().map(str::to_string),
            hint: error.hint().map(str::to_string),
            context: None,
            exit_code,
        }
    }
}
