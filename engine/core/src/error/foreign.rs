//! Errors of `lake`, `inference` and `udfs`: their words stay, and each gets its kind.

use alluvia_inference::Error as InferenceError;
use alluvia_lake::{Error as LakeError, StoreError, StoreFault};
use alluvia_udfs::FunctionError;

use super::classify::{from_external, lowercase_first};
use super::{Error, Kind};

impl From<LakeError> for Error {
    fn from(error: LakeError) -> Self {
        from_lake(&error)
    }
}

impl From<InferenceError> for Error {
    fn from(error: InferenceError) -> Self {
        from_inference(&error)
    }
}

pub(super) fn from_lake(error: &LakeError) -> Error {
    let kind = match error {
        LakeError::DataFusion(inner) => return from_external(inner),
        LakeError::CheckViolation { constraint, expression, row } if constraint.ends_with("_length") => {
            if let Some((_, length)) = expression.split_once(") <= ").filter(|_| expression.contains("char_length(")) {
                let message = format!("value too long for type character varying({length})");
                return Error::new(Kind::StringTooLong, message).with_detail(format!("Failing row contains ({row})."));
            }
            Kind::CheckViolation
        }
        LakeError::UndefinedColumn { .. } => Kind::UndefinedColumn,
        LakeError::DuplicateColumn { .. } => Kind::DuplicateColumn,
        LakeError::UndefinedConstraint { .. } => Kind::UndefinedObject,
        LakeError::DuplicateConstraint { .. } => Kind::DuplicateObject,
        LakeError::NotATable { .. } | LakeError::FilesMissing { .. } => Kind::UndefinedFile,
        LakeError::ChangesNotKept { .. } => Kind::InvalidParameterValue,
        LakeError::Unsupported { .. } => Kind::FeatureNotSupported,
        LakeError::NoFiles { .. } => Kind::UndefinedFile,
        LakeError::BrokenFile { .. } => Kind::DataException,
        LakeError::InvalidOption { .. } => Kind::InvalidParameterValue,
        LakeError::Store(error) => return from_store(error),
        LakeError::NoSuchVersion { .. } => Kind::InvalidParameterValue,
        LakeError::LocationInUse { .. } => Kind::DuplicateObject,
        LakeError::InvalidDefinition { .. } | LakeError::UndeclaredPartition { .. } => Kind::InvalidTableDefinition,
        LakeError::NotNullViolation { .. } => Kind::NotNullViolation,
        LakeError::CheckViolation { .. } | LakeError::GeneratedViolation { .. } => Kind::CheckViolation,
        LakeError::UnsupportedType { .. } | LakeError::UnsupportedFeature { .. } => Kind::FeatureNotSupported,
        LakeError::AppendOnly => Kind::ReadOnlyTransaction,
        LakeError::Conflict { .. } => Kind::SerializationFailure,
        LakeError::CastFailed { .. } => Kind::NumericValueOutOfRange,
        LakeError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => Kind::DiskFull,
        LakeError::Io(_) => Kind::Io,
        LakeError::OutOfMemory { .. } => Kind::OutOfMemory,
        LakeError::Cancelled => Kind::QueryCanceled,
        LakeError::Delta(_) => Kind::Io,
        LakeError::Internal { .. } => Kind::Internal,
    };
    described(kind, error.to_string(), error.detail(), error.hint())
}

pub(super) fn from_store(error: &StoreError) -> Error {
    let kind = match error.fault {
        StoreFault::Unauthenticated => Kind::InvalidAuthorization,
        StoreFault::Denied => Kind::InsufficientPrivilege,
        StoreFault::NoBucket | StoreFault::NotFound => Kind::UndefinedFile,
        StoreFault::Unreachable => Kind::ConnectionFailure,
        StoreFault::Unknown => Kind::CompletionUnknown,
        StoreFault::Misconfigured => Kind::InvalidParameterValue,
        StoreFault::Overloaded | StoreFault::Other => Kind::Io,
    };
    described(kind, error.to_string(), None, error.hint.clone())
}

pub(super) fn from_inference(error: &InferenceError) -> Error {
    let kind = match error {
        InferenceError::RuntimeMissing { .. } | InferenceError::ModelMissing { .. } => Kind::ModelMissing,
        InferenceError::RuntimeLoaded { .. } => Kind::ConfigurationInvalid,
        InferenceError::ModelInvalid { .. }
        | InferenceError::TokenizerMissing { .. }
        | InferenceError::TokenizerInvalid { .. }
        | InferenceError::TokenizerMismatch { .. } => Kind::ModelInvalid,
        InferenceError::UnsupportedModel { .. } => Kind::FeatureNotSupported,
        InferenceError::DeviceUnavailable { .. } => Kind::DeviceUnavailable,
        InferenceError::RequestFields { .. } | InferenceError::RequestType { .. } => Kind::DatatypeMismatch,
        InferenceError::OptionInvalid { .. } | InferenceError::OptionUnknown { .. } => Kind::InvalidParameterValue,
        InferenceError::RowFailed { .. } | InferenceError::RunFailed { .. } => Kind::InferenceFailed,
        InferenceError::Cancelled => Kind::QueryCanceled,
    };
    described(kind, error.to_string(), error.detail(), error.hint())
}

pub(super) fn from_function(error: &FunctionError) -> Error {
    let kind = match error {
        FunctionError::DimensionMismatch { .. } => Kind::DataException,
        FunctionError::NullElement { .. } | FunctionError::NullArgument { .. } => Kind::NullValueNotAllowed,
        FunctionError::OutOfRange { .. } => Kind::NumericValueOutOfRange,
        FunctionError::ArgumentType { .. } => Kind::DatatypeMismatch,
        FunctionError::ArgumentCount { .. } => Kind::UndefinedFunction,
        FunctionError::NotLiteral { .. } => Kind::FeatureNotSupported,
        FunctionError::TypeSyntax { .. } => Kind::SyntaxError,
        FunctionError::NotAnEmbedding { .. } => Kind::InvalidParameterValue,
        _ => Kind::DataException,
    };
    described(kind, error.to_string(), error.detail(), error.hint())
}

fn described(kind: Kind, message: String, detail: Option<String>, hint: Option<String>) -> Error {
    Error { kind, message: lowercase_first(&message), detail, hint, position: None }
}
