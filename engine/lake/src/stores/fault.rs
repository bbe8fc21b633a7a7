//! What stores answer, typed, and in words that hold no secret.
//!
//! Libraries above pass errors of stores on in many wrappings. Each error that leaves a bucket carries a [`StoreError`]
//! as its source, which is found again wherever the chain ends up.

use std::collections::VecDeque;
use std::error::Error as StdError;

use object_store::Error as Raw;
use object_store::client::{HttpError, HttpErrorKind};
use parking_lot::Mutex;

/// What went wrong, by who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// No credentials, or such as the store doesn't know.
    Unauthenticated,
    /// Credentials that don't reach so far.
    Denied,
    /// The bucket or container doesn't exist.
    NoBucket,
    /// An object that doesn't exist.
    NotFound,
    /// No connection, or none that lasts.
    Unreachable,
    /// The store asks for fewer requests, or is broken; it has been asked again, and again.
    Overloaded,
    /// Nobody knows whether a commit landed: the store took it and fell silent.
    Unknown,
    /// The options don't make a store.
    Misconfigured,
    Other,
}

/// An error of a store. `Display` names bucket and cause, never a key, a token or a signature.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    pub fault: StoreFault,
    pub message: String,
    pub hint: Option<String>,
    /// Whether the request was sent more than once, so that an earlier one may have been heeded.
    pub(super) retried: bool,
}

impl StoreError {
    pub(super) fn new(fault: StoreFault, message: impl Into<String>) -> StoreError {
        StoreError { fault, message: message.into(), hint: None, retried: false }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> StoreError {
        self.hint = Some(hint.into());
        self
    }

    /// The error of a store in a chain of sources, however deep.
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a StoreError> {
        let mut current = Some(error);
        while let Some(error) = current {
            if let Some(found) = error.downcast_ref::<StoreError>() {
                return Some(found);
            }
            // `Arc<dyn Error>` and `Box<dyn Error>` stand in the chain by their contents.
            current = error.source();
        }
        None
    }

    /// The error of a store that `text` repeats. Some libraries pass errors on only as texts; the newest of a process
    /// are remembered, so that these too are known for what they are.
    pub fn recall(text: &str) -> Option<StoreError> {
        RECENT.lock().iter().rev().find(|recent| text.contains(&recent.message)).cloned()
    }

    fn remember(&self) {
        let mut recent = RECENT.lock();
        recent.retain(|known| known.message != self.message);
        if recent.len() >= RECENT_MAX {
            recent.pop_front();
        }
        recent.push_back(self.clone());
    }

    pub(super) fn into_raw(self, store: &'static str) -> Raw {
        self.remember();
        Raw::Generic { store, source: Box::new(self) }
    }
}

const RECENT_MAX: usize = 64;
static RECENT: Mutex<VecDeque<StoreError>> = Mutex::new(VecDeque::new());

/// `error` with a [`StoreError`] as its source; its variant stays, because code above tells apart by it.
pub(super) fn translate(bucket: &str, store: &'static str, error: Raw) -> Raw {
    if StoreError::find(&error).is_some() {
        return error;
    }
    let found = classify(bucket, &error);
    found.remember();
    let source = Box::new(found);
    match error {
        Raw::NotFound { path, .. } => Raw::NotFound { path, source },
        Raw::AlreadyExists { path, .. } => Raw::AlreadyExists { path, source },
        Raw::Precondition { path, .. } => Raw::Precondition { path, source },
        Raw::NotModified { path, .. } => Raw::NotModified { path, source },
        Raw::PermissionDenied { path, .. } => Raw::PermissionDenied { path, source },
        Raw::Unauthenticated { path, .. } => Raw::Unauthenticated { path, source },
        _ => Raw::Generic { store, source },
    }
}

fn classify(bucket: &str, error: &Raw) -> StoreError {
    let text = error.to_string();
    let retried = text.contains(", max_retries: ");
    let answer = Answer::of(&text);
    let said = answer.words();
    let mut found = match (error, answer.code) {
        (_, Some("NoSuchBucket" | "ContainerNotFound")) => {
            StoreError::new(StoreFault::NoBucket, format!("bucket \"{bucket}\" does not exist"))
        }
        (Raw::NotFound { path, .. }, _) => {
            StoreError::new(StoreFault::NotFound, format!("there is no object \"{path}\" in bucket \"{bucket}\""))
        }
        (
            _,
            Some(
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "AuthenticationFailed",
            ),
        )
        | (Raw::Unauthenticated { .. }, _) => StoreError::new(
            StoreFault::Unauthenticated,
            format!("bucket \"{bucket}\" does not accept the credentials{said}"),
        )
        .with_hint("Look at system.secrets for the secret whose scope covers the location, and replace it."),
        (Raw::PermissionDenied { .. }, _) => {
            StoreError::new(StoreFault::Denied, format!("permission denied for bucket \"{bucket}\"{said}"))
        }
        (_, Some("SlowDown" | "ServiceUnavailable" | "InternalError" | "ServerBusy" | "TooManyRequests")) => {
            StoreError::new(
                StoreFault::Overloaded,
                format!("bucket \"{bucket}\" does not keep up with the requests{said}"),
            )
        }
        _ => by_transport(bucket, error, &answer),
    };
    found.retried = retried;
    found
}

fn by_transport(bucket: &str, error: &Raw, answer: &Answer<'_>) -> StoreError {
    if let Some(http) = http_error(error) {
        let how = match http.kind() {
            HttpErrorKind::Timeout => "it did not answer in time",
            HttpErrorKind::Connect => "no connection could be made",
            _ => "the connection broke",
        };
        return StoreError::new(StoreFault::Unreachable, format!("could not reach bucket \"{bucket}\": {how}"))
            .with_hint("Check the network, and the secret's ENDPOINT and USE_SSL.");
    }
    match answer.status {
        Some(401) => StoreError::new(StoreFault::Unauthenticated, format!("bucket \"{bucket}\" asks for credentials")),
        Some(429 | 500..=599) => {
            let said = answer.words();
            StoreError::new(
                StoreFault::Overloaded,
                format!("bucket \"{bucket}\" does not keep up with the requests{said}"),
            )
        }
        Some(status) => {
            let said = answer.words();
            StoreError::new(StoreFault::Other, format!("bucket \"{bucket}\" answered with status {status}{said}"))
        }
        None if error.to_string().contains("redirect") => {
            StoreError::new(StoreFault::Misconfigured, format!("bucket \"{bucket}\" lies in another region"))
                .with_hint("Give its REGION in the secret.")
        }
        None => StoreError::new(StoreFault::Other, format!("a request to bucket \"{bucket}\" failed")),
    }
}

fn http_error(error: &Raw) -> Option<&HttpError> {
    let mut current: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = current {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return Some(http);
        }
        current = error.source();
    }
    None
}

/// What can be told from a store's answer: the libraries keep status and body only as text. Of the body, code and
/// message are carried on and the rest is not: it repeats what was signed.
struct Answer<'a> {
    status: Option<u16>,
    code: Option<&'a str>,
    message: Option<&'a str>,
}

impl<'a> Answer<'a> {
    fn of(text: &'a str) -> Answer<'a> {
        let status = between(text, "status code: ", " ").and_then(|status| status.parse().ok());
        let message =
            between(text, "<Message>", "</Message>").map(|message| message.lines().next().unwrap_or_default());
        Answer { status, code: between(text, "<Code>", "</Code>"), message }
    }

    /// `: what the store said`, or nothing.
    fn words(&self) -> String {
        const LENGTH_MAX: usize = 200;
        match self.message.or(self.code) {
            Some(words) => format!(": {}", words.chars().take(LENGTH_MAX).collect::<String>()),
            None => String::new(),
        }
    }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close).map(|(inner, _)| inner)
}

/// Options that don't make a store.
#[cfg(any(feature = "s3", feature = "azure", feature = "gcs"))]
pub(super) fn misconfigured(error: super::options::OptionError) -> Raw {
    StoreError::new(StoreFault::Misconfigured, error.to_string()).into_raw("options")
}
