//! Every way a model can fail to load or run, worded like PostgreSQL's errors: a lowercase primary message, then
//! `detail` and `hint` as sentences. Codes are the server's affair.

use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("ONNX Runtime cannot be loaded from \"{}\"", path.display())]
    RuntimeMissing { path: PathBuf, reason: String },
    #[error("ONNX Runtime is already loaded from \"{}\"", loaded.display())]
    RuntimeLoaded { loaded: PathBuf, asked: PathBuf },
    #[error("there is no model at \"{}\"", path.display())]
    ModelMissing { path: PathBuf, reason: String },
    #[error("model \"{}\" is not valid", path.display())]
    ModelInvalid { path: PathBuf, reason: String },
    #[error("model \"{}\" is not supported", path.display())]
    UnsupportedModel { path: PathBuf, reason: String },
    #[error("model \"{}\" has no tokenizer", path.display())]
    TokenizerMissing { path: PathBuf },
    #[error("the tokenizer of model \"{}\" is not valid", path.display())]
    TokenizerInvalid { path: PathBuf, reason: String },
    #[error("the tokenizer does not match model \"{}\"", path.display())]
    TokenizerMismatch { path: PathBuf, reason: String },
    #[error("device \"{device}\" is not available")]
    DeviceUnavailable { device: String, reason: String },
    #[error("the request does not fit the model's inputs")]
    RequestFields { takes: String, has: String, missing: Vec<String>, surplus: Vec<String>, hint: Option<String> },
    #[error("input \"{input}\" of the model takes {takes}, not {has}")]
    RequestType { input: String, takes: String, has: String },
    #[error("invalid value for model option \"{option}\": \"{value}\"")]
    OptionInvalid { option: String, value: String, reason: String },
    #[error("unrecognized model option \"{option}\"")]
    OptionUnknown { option: String, known: String },
    #[error("row {row} cannot be sent to the model: {}", error.message)]
    RowFailed { row: usize, error: RowError },
    #[error("the model run failed: {message}")]
    RunFailed { message: String },
    #[error("the model run was canceled")]
    Cancelled,
}

impl Error {
    /// The second sentence: what exactly was found.
    pub fn detail(&self) -> Option<String> {
        match self {
            Error::RuntimeMissing { reason, .. }
            | Error::ModelMissing { reason, .. }
            | Error::ModelInvalid { reason, .. }
            | Error::UnsupportedModel { reason, .. }
            | Error::TokenizerInvalid { reason, .. }
            | Error::TokenizerMismatch { reason, .. }
            | Error::DeviceUnavailable { reason, .. }
            | Error::OptionInvalid { reason, .. } => Some(sentence(reason)),
            Error::RuntimeLoaded { asked, .. } => {
                Some(format!("A process holds one ONNX Runtime; \"{}\" was asked for.", asked.display()))
            }
            Error::TokenizerMissing { .. } => {
                Some("The model takes token ids, and there is no tokenizer.json beside it.".into())
            }
            Error::RequestFields { takes, has, missing, surplus, .. } => {
                let mut text = format!("The model takes: {takes}; the request has: {has}.");
                for (what, names) in [("Missing", missing), ("Not an input", surplus)] {
                    if !names.is_empty() {
                        text.push_str(&format!(" {what}: {}.", names.join(", ")));
                    }
                }
                Some(text)
            }
            Error::OptionUnknown { known, .. } => Some(format!("The options are: {known}.")),
            Error::RequestType { .. } | Error::RowFailed { .. } | Error::RunFailed { .. } | Error::Cancelled => None,
        }
    }

    /// The third sentence: what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::RuntimeMissing { .. } => {
                Some("Run `make setup`, or name the library in the environment variable ALLUVIA_ONNXRUNTIME.".into())
            }
            Error::TokenizerMissing { .. } => Some("Add the tokenizer.json of the model to its folder.".into()),
            Error::TokenizerMismatch { .. } => Some("Use the tokenizer.json the model was trained with.".into()),
            Error::DeviceUnavailable { .. } => {
                Some("Use device = 'cpu' or 'auto', or load a build of ONNX Runtime that has the device.".into())
            }
            Error::RequestFields { hint, .. } => hint.clone(),
            Error::RequestType { .. } => Some("Cast the value to the type the model takes.".into()),
            Error::RowFailed { .. } => {
                Some("With failOnError => false a failing row yields an error value instead.".into())
            }
            _ => None,
        }
    }
}

/// Why one row has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The row's values don't fit the model: a NULL where none is allowed, a number out of range.
    InvalidRequest,
    /// The model itself failed on the row.
    Runtime,
}

impl ErrorClass {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorClass::InvalidRequest => "invalid_request",
            ErrorClass::Runtime => "runtime",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    pub class: ErrorClass,
    pub message: String,
}

impl RowError {
    pub(crate) fn invalid(message: impl Into<String>) -> RowError {
        RowError { class: ErrorClass::InvalidRequest, message: message.into() }
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let mut out: String = match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => return String::new(),
    };
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detail_lists_both_sides() {
        let error = Error::RequestFields {
            takes: "a FLOAT, b TEXT".into(),
            has: "a, c".into(),
            missing: vec!["b".into()],
            surplus: vec!["c".into()],
            hint: None,
        };
        assert_eq!(error.to_string(), "the request does not fit the model's inputs");
        assert_eq!(
            error.detail().unwrap(),
            "The model takes: a FLOAT, b TEXT; the request has: a, c. Missing: b. Not an input: c."
        );
    }

    #[test]
    fn reasons_become_sentences() {
        assert_eq!(sentence("the file is short"), "The file is short.");
        assert_eq!(sentence("Protobuf parsing failed."), "Protobuf parsing failed.");
        assert_eq!(sentence(""), "");
    }
}
