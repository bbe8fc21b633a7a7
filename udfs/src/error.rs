//! What a function of ours refuses, typed so that the server can give each case its SQLSTATE.

use std::error::Error;

use datafusion_common::DataFusionError;

/// An error of a function call. Travels as [`DataFusionError::External`]; [`FunctionError::find`] gets it back.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// Two vectors that must have the same dimension (22000, data exception, as in pgvector).
    #[error("different vector dimensions {left} and {right}")]
    DimensionMismatch { left: usize, right: usize },
    /// A NULL inside a vector (22004).
    #[error("{function}: a vector must not contain NULL elements")]
    NullElement { function: &'static str },
    /// A double precision element whose magnitude exceeds REAL (22003).
    #[error("value {value} is out of range for type real")]
    OutOfRange { value: f64 },
    /// An argument of a type that the function does not take (42804). `position` counts from 1.
    #[error("argument {position} of {function} must be {expected}, not {found}")]
    ArgumentType { function: &'static str, position: usize, expected: &'static str, found: String },
    /// A call with too few or too many arguments (42883). `expected` as in `2 to 4`.
    #[error("function {function} takes {expected} arguments, not {found}")]
    ArgumentCount { function: &'static str, expected: String, found: usize },
    /// An argument that must be known when the statement is planned (0A000).
    #[error("argument {argument} of {function} must be a literal")]
    NotLiteral { function: &'static str, argument: &'static str },
    /// A NULL where the function needs a value (22004).
    #[error("argument {argument} of {function} must not be NULL")]
    NullArgument { function: &'static str, argument: &'static str },
    /// A type written in DDL that cannot be read (42601). `offset_bytes` is where reading stopped.
    #[error("invalid type: expected {expected}")]
    TypeSyntax { text: String, offset_bytes: usize, expected: String },
    /// `embed` was asked to use a model that returns something else than a vector (42809).
    #[error("model \"{model}\" does not return an embedding")]
    NotAnEmbedding { model: String, found: String },
}

impl FunctionError {
    /// The function error inside `error`, through contexts and shared wrappers.
    pub fn find(error: &DataFusionError) -> Option<&FunctionError> {
        let mut source: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(current) = source {
            if let Some(found) = current.downcast_ref::<FunctionError>() {
                return Some(found);
            }
            source = current.source();
        }
        None
    }

    /// What the primary message leaves out, as a sentence.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::TypeSyntax { text, offset_bytes, .. } => {
                Some(format!("Reading stopped at byte {offset_bytes} of \"{text}\"."))
            }
            Self::NotAnEmbedding { found, .. } => Some(format!("It returns {found}.")),
            Self::OutOfRange { .. } => Some("The other vector's elements are of single precision.".to_string()),
            _ => None,
        }
    }

    /// What to do about it, as a sentence.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NullElement { .. } => {
                Some("Remove NULL elements first, for example with array_remove_all(vector, NULL).".to_string())
            }
            Self::ArgumentType { expected, .. } => Some(format!("Cast the argument to {expected}.")),
            Self::NotLiteral { argument, .. } => {
                Some(format!("Write {argument} as a literal: it decides the type of the result."))
            }
            Self::TypeSyntax { .. } => {
                Some("Write a type such as FLOAT, ARRAY<DOUBLE> or STRUCT<label: STRING, score: DOUBLE>.".to_string())
            }
            Self::NotAnEmbedding { .. } => Some("Call it with ai_query instead.".to_string()),
            _ => None,
        }
    }
}

impl From<FunctionError> for DataFusionError {
    fn from(error: FunctionError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn is_found_through_every_wrapper() {
        let error = FunctionError::DimensionMismatch { left: 3, right: 4 };
        assert_eq!(error.to_string(), "different vector dimensions 3 and 4");
        let plain = DataFusionError::from(error.clone());
        assert_eq!(FunctionError::find(&plain), Some(&error));
        let shared = DataFusionError::Shared(Arc::new(plain));
        let wrapped = shared.context("while folding a constant");
        assert_eq!(FunctionError::find(&wrapped), Some(&error));
        let arrow = DataFusionError::ArrowError(Box::new(wrapped.into()), None);
        assert_eq!(FunctionError::find(&arrow), Some(&error));
        assert_eq!(FunctionError::find(&DataFusionError::Execution("else".to_string())), None);
    }
}
