//! The one error type that leaves `core`: a kind (which the server maps to a SQLSTATE), a lowercase primary message,
//! and optionally Detail, Hint and the position in the statement's text.

mod classify;
mod foreign;

pub(crate) use classify::from_parser;

use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the vocabulary of PostgreSQL's error classes. `server/src/sqlstate.rs` gives each its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    SyntaxError,
    StatementTooComplex,
    UndefinedTable,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedSchema,
    UndefinedObject,
    UndefinedParameter,
    UndefinedFile,
    WrongObjectType,
    DuplicateTable,
    DuplicateSchema,
    DuplicateObject,
    DuplicateColumn,
    DuplicateAlias,
    AmbiguousColumn,
    InvalidTableDefinition,
    InvalidColumnReference,
    GroupingError,
    WindowingError,
    InvalidRowCount,
    InvalidPowerArgument,
    CardinalityViolation,
    GeneratedAlways,
    StringTooLong,
    DatatypeMismatch,
    IndeterminateDatatype,
    InvalidParameterValue,
    InvalidTextRepresentation,
    NumericValueOutOfRange,
    DivisionByZero,
    InvalidDatetime,
    NullValueNotAllowed,
    ArraySubscript,
    DataException,
    NotNullViolation,
    CheckViolation,
    DependentObjectsExist,
    SerializationFailure,
    InFailedTransaction,
    NoActiveTransaction,
    ActiveTransaction,
    ReadOnlyTransaction,
    InsufficientPrivilege,
    InvalidAuthorization,
    ConnectionFailure,
    CompletionUnknown,
    OutOfMemory,
    DiskFull,
    TooManyConnections,
    QueryCanceled,
    ShuttingDown,
    ModelMissing,
    ModelInvalid,
    DeviceUnavailable,
    InferenceFailed,
    FeatureNotSupported,
    ConfigurationInvalid,
    Io,
    Internal,
}

/// An error as a client sees it.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// 1-based position in characters of the statement's text.
    pub position: Option<usize>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: None, hint: None, position: None }
    }

    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(Kind::FeatureNotSupported, format!("{what} is not supported"))
    }

    pub fn canceled(reason: impl fmt::Display) -> Self {
        Self::new(Kind::QueryCanceled, format!("canceling statement due to {reason}"))
    }

    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Kind::Internal, format!("internal error: {message}"))
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn at(mut self, position: Option<usize>) -> Self {
        self.position = position;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        if let Some(detail) = &self.detail {
            write!(formatter, "\nDetail: {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "\nHint: {hint}")?;
        }
        Ok(())
    }
}

/// An error of ours travels through DataFusion's streams as `External` and is found again by `classify`.
impl From<Error> for datafusion::error::DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}
