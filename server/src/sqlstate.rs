//! SQLSTATE codes: the only file that knows them. Kinds of errors come in, five characters go out.
//!
//! Codes are PostgreSQL's (appendix A of its manual). What PostgreSQL has no word for stands in class `ML`, from the
//! range that the SQL standard leaves to implementations.

use alluvia_core::Kind;

use crate::protocol::error::Kind as ValueKind;

/// Five characters by which a client tells errors apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SqlState(pub &'static str);

impl SqlState {
    pub const SUCCESSFUL: Self = Self("00000");
    pub const WARNING: Self = Self("01000");
    pub const PROTOCOL_VIOLATION: Self = Self("08P01");
    pub const FEATURE_NOT_SUPPORTED: Self = Self("0A000");
    pub const NUMERIC_VALUE_OUT_OF_RANGE: Self = Self("22003");
    pub const INVALID_DATETIME_FORMAT: Self = Self("22007");
    pub const DATETIME_FIELD_OVERFLOW: Self = Self("22008");
    pub const NULL_VALUE_NOT_ALLOWED: Self = Self("22004");
    pub const CHARACTER_NOT_IN_REPERTOIRE: Self = Self("22021");
    pub const INVALID_PARAMETER_VALUE: Self = Self("22023");
    pub const INVALID_TEXT_REPRESENTATION: Self = Self("22P02");
    pub const INVALID_BINARY_REPRESENTATION: Self = Self("22P03");
    pub const BAD_COPY_FILE_FORMAT: Self = Self("22P04");
    pub const ARRAY_SUBSCRIPT_ERROR: Self = Self("2202E");
    pub const INVALID_STATEMENT_NAME: Self = Self("26000");
    pub const INVALID_AUTHORIZATION: Self = Self("28000");
    pub const INVALID_CURSOR_NAME: Self = Self("34000");
    pub const SYNTAX_ERROR: Self = Self("42601");
    pub const DUPLICATE_CURSOR: Self = Self("42P03");
    pub const DUPLICATE_PREPARED_STATEMENT: Self = Self("42P05");
    pub const TOO_MANY_CONNECTIONS: Self = Self("53300");
    pub const CONFIGURATION_LIMIT_EXCEEDED: Self = Self("53400");
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self("54000");
    pub const OBJECT_NOT_IN_PREREQUISITE_STATE: Self = Self("55000");
    pub const QUERY_CANCELED: Self = Self("57014");
    pub const ADMIN_SHUTDOWN: Self = Self("57P01");
    pub const INTERNAL_ERROR: Self = Self("XX000");
}

impl From<Kind> for SqlState {
    fn from(kind: Kind) -> Self {
        Self(match kind {
            Kind::SyntaxError => "42601",
            Kind::StatementTooComplex => "54001",
            Kind::UndefinedTable => "42P01",
            Kind::UndefinedColumn => "42703",
            Kind::UndefinedFunction => "42883",
            Kind::UndefinedSchema => "3F000",
            Kind::UndefinedObject => "42704",
            Kind::UndefinedParameter => "42P02",
            Kind::UndefinedFile => "58P01",
            Kind::WrongObjectType => "42809",
            Kind::DuplicateTable => "42P07",
            Kind::DuplicateSchema => "42P06",
            Kind::DuplicateObject => "42710",
            Kind::DuplicateColumn => "42701",
            Kind::DuplicateAlias => "42712",
            Kind::AmbiguousColumn => "42702",
            Kind::InvalidTableDefinition => "42P16",
            Kind::InvalidColumnReference => "42P10",
            Kind::GroupingError => "42803",
            Kind::WindowingError => "42P20",
            Kind::InvalidRowCount => "2201W",
            Kind::InvalidPowerArgument => "2201F",
            Kind::CardinalityViolation => "21000",
            Kind::GeneratedAlways => "428C9",
            Kind::StringTooLong => "22001",
            Kind::DatatypeMismatch => "42804",
            Kind::IndeterminateDatatype => "42P18",
            Kind::InvalidParameterValue => "22023",
            Kind::InvalidTextRepresentation => "22P02",
            Kind::NumericValueOutOfRange => "22003",
            Kind::DivisionByZero => "22012",
            Kind::InvalidDatetime => "22007",
            Kind::NullValueNotAllowed => "22004",
            Kind::ArraySubscript => "2202E",
            Kind::DataException => "22000",
            Kind::NotNullViolation => "23502",
            Kind::CheckViolation => "23514",
            Kind::DependentObjectsExist => "2BP01",
            Kind::SerializationFailure => "40001",
            Kind::InFailedTransaction => "25P02",
            Kind::NoActiveTransaction => "25P01",
            Kind::ActiveTransaction => "25001",
            Kind::ReadOnlyTransaction => "25006",
            Kind::InsufficientPrivilege => "42501",
            Kind::InvalidAuthorization => "28000",
            Kind::ConnectionFailure => "08006",
            Kind::CompletionUnknown => "40003",
            Kind::OutOfMemory => "53200",
            Kind::DiskFull => "53100",
            Kind::TooManyConnections => "53300",
            Kind::QueryCanceled => "57014",
            Kind::ShuttingDown => "57P01",
            Kind::ModelMissing => "ML001",
            Kind::ModelInvalid => "ML002",
            Kind::DeviceUnavailable => "ML003",
            Kind::InferenceFailed => "ML004",
            Kind::FeatureNotSupported => "0A000",
            Kind::ConfigurationInvalid => "F0000",
            Kind::Io => "58030",
            Kind::Internal => "XX000",
        })
    }
}

impl From<ValueKind> for SqlState {
    fn from(kind: ValueKind) -> Self {
        match kind {
            ValueKind::InvalidText => Self::INVALID_TEXT_REPRESENTATION,
            ValueKind::InvalidBinary => Self::INVALID_BINARY_REPRESENTATION,
            ValueKind::InvalidDateTime => Self::INVALID_DATETIME_FORMAT,
            ValueKind::DateTimeOutOfRange => Self::DATETIME_FIELD_OVERFLOW,
            ValueKind::NumberOutOfRange => Self::NUMERIC_VALUE_OUT_OF_RANGE,
            ValueKind::InvalidEncoding => Self::CHARACTER_NOT_IN_REPERTOIRE,
            ValueKind::InvalidArgument => Self::INVALID_PARAMETER_VALUE,
            ValueKind::NullNotAllowed => Self::NULL_VALUE_NOT_ALLOWED,
            ValueKind::RaggedArray => Self::ARRAY_SUBSCRIPT_ERROR,
            ValueKind::LimitExceeded => Self::PROGRAM_LIMIT_EXCEEDED,
            ValueKind::BadCopyFormat => Self::BAD_COPY_FILE_FORMAT,
            ValueKind::Unsupported => Self::FEATURE_NOT_SUPPORTED,
            ValueKind::ProtocolViolation => Self::PROTOCOL_VIOLATION,
            ValueKind::Internal => Self::INTERNAL_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bugs_of_ours_are_internal_errors() {
        assert_eq!(SqlState::from(Kind::Internal), SqlState::INTERNAL_ERROR);
        assert_eq!(SqlState::from(Kind::DivisionByZero).0, "22012");
        assert_eq!(SqlState::from(Kind::OutOfMemory).0, "53200");
        assert_eq!(SqlState::from(Kind::QueryCanceled), SqlState::QUERY_CANCELED);
    }
}
