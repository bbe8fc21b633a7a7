//! What a secret may hold, by kind of store: names as DuckDB has them where it has one.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::scheme::StoreKind;

/// Where credentials come from.
pub(super) const PROVIDER: &str = "provider";

const COMMON: &[&str] = &[PROVIDER, "timeout", "retries"];
const S3: &[&str] = &["key_id", "secret", "session_token", "region", "endpoint", "use_ssl", "url_style"];
const AZURE: &[&str] = &[
    "account_name",
    "account_key",
    "connection_string",
    "sas_token",
    "endpoint",
    "use_ssl",
    "tenant_id",
    "client_id",
    "client_secret",
];
const GCS: &[&str] = &["service_account_key", "service_account_path", "bearer_token", "endpoint", "use_ssl"];

/// Options whose values may be shown; whatever isn't named here is a secret.
const PUBLIC: &[&str] = &[
    PROVIDER,
    "timeout",
    "retries",
    "key_id",
    "region",
    "endpoint",
    "use_ssl",
    "url_style",
    "account_name",
    "tenant_id",
    "client_id",
    "service_account_path",
];

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RETRIES_DEFAULT: usize = 8;
/// A request that has been tried again for so long isn't tried once more.
const RETRYING_MAX: Duration = Duration::from_secs(120);

/// Checked options of a store, names in lower case. Printed without the values of secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreOptions {
    values: BTreeMap<String, String>,
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.values.iter().map(|(name, value)| (name, redacted(name, value)));
        formatter.debug_map().entries(shown).finish()
    }
}

/// The value of an option as it may be shown.
pub fn redacted<'a>(name: &str, value: &'a str) -> &'a str {
    if PUBLIC.contains(&name) { value } else { "redacted" }
}

/// An option that a store of this kind can't have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    #[error("a secret of type {kind} has no option \"{name}\" (it has {known})")]
    Unknown { kind: &'static str, name: String, known: String },
    #[error("invalid value of option \"{name}\": {expected}")]
    Invalid { name: &'static str, expected: &'static str },
    #[error("option \"{name}\" needs option \"{other}\" beside it")]
    Missing { name: &'static str, other: &'static str },
}

impl StoreOptions {
    /// # Errors
    /// [`OptionError`], which never repeats a value.
    pub fn new(kind: StoreKind, values: BTreeMap<String, String>) -> Result<StoreOptions, OptionError> {
        let own = match kind {
            StoreKind::S3 => S3,
            StoreKind::Azure => AZURE,
            StoreKind::Gcs => GCS,
        };
        if let Some(name) = values.keys().find(|name| !own.contains(&name.as_str()) && !COMMON.contains(&name.as_str()))
        {
            let known = own.iter().chain(COMMON).copied().collect::<Vec<_>>().join(", ");
            return Err(OptionError::Unknown { kind: kind.name(), name: name.clone(), known });
        }
        let options = StoreOptions { values };
        options.provider()?;
        options.truth("use_ssl")?;
        options.timeout()?;
        options.retries()?;
        options.url_style_path()?;
        for (name, other) in
            [("key_id", "secret"), ("secret", "key_id"), ("session_token", "key_id"), ("account_key", "account_name")]
        {
            if options.get(name).is_some() && options.get(other).is_none() {
                return Err(OptionError::Missing { name, other });
            }
        }
        Ok(options)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(super) fn provider(&self) -> Result<Provider, OptionError> {
        match self.get(PROVIDER) {
            None | Some("config") => Ok(Provider::Config),
            Some("env") => Ok(Provider::Environment),
            Some("credential_chain") => Ok(Provider::Chain),
            Some(_) => Err(OptionError::Invalid { name: PROVIDER, expected: "it is config, env or credential_chain" }),
        }
    }

    /// Whether an endpoint without a scheme is spoken to in HTTPS.
    pub(super) fn ssl(&self) -> bool {
        self.truth("use_ssl").ok().flatten().unwrap_or(true)
    }

    /// The endpoint with its scheme.
    pub(super) fn endpoint(&self) -> Option<String> {
        let endpoint = self.get("endpoint")?.trim_end_matches('/');
        if endpoint.contains("://") {
            return Some(endpoint.to_owned());
        }
        Some(format!("{}://{endpoint}", if self.ssl() { "https" } else { "http" }))
    }

    /// `None` where the option isn't given.
    pub(super) fn url_style_path(&self) -> Result<Option<bool>, OptionError> {
        match self.get("url_style") {
            None => Ok(None),
            Some("path") => Ok(Some(true)),
            Some("vhost") => Ok(Some(false)),
            Some(_) => Err(OptionError::Invalid { name: "url_style", expected: "it is path or vhost" }),
        }
    }

    pub(super) fn client(&self) -> ClientOptions {
        let insecure = self.endpoint().is_some_and(|endpoint| endpoint.starts_with("http://"));
        ClientOptions::new()
            .with_timeout(self.timeout().ok().flatten().unwrap_or(TIMEOUT_DEFAULT))
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_allow_http(insecure)
    }

    pub(super) fn retry(&self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(10),
                base: 2.0,
            },
            max_retries: self.retries().ok().flatten().unwrap_or(RETRIES_DEFAULT),
            retry_timeout: RETRYING_MAX,
        }
    }

    fn truth(&self, name: &'static str) -> Result<Option<bool>, OptionError> {
        match self.get(name).map(str::to_lowercase).as_deref() {
            None => Ok(None),
            Some("true" | "on" | "1" | "yes") => Ok(Some(true)),
            Some("false" | "off" | "0" | "no") => Ok(Some(false)),
            Some(_) => Err(OptionError::Invalid { name, expected: "it is true or false" }),
        }
    }

    fn timeout(&self) -> Result<Option<Duration>, OptionError> {
        let invalid = OptionError::Invalid { name: "timeout", expected: "it is a number of seconds from 1 to 3600" };
        self.number("timeout", 1..=3600).map(|seconds| seconds.map(Duration::from_secs)).ok_or(invalid)
    }

    fn retries(&self) -> Result<Option<usize>, OptionError> {
        let invalid = OptionError::Invalid { name: "retries", expected: "it is a number from 0 to 100" };
        self.number("retries", 0..=100).map(|retries| retries.map(|retries| retries as usize)).ok_or(invalid)
    }

    /// The inner `None`: not given; the outer: not such a number.
    fn number(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<Option<u64>> {
        match self.get(name) {
            None => Some(None),
            Some(text) => text.parse().ok().filter(|number| range.contains(number)).map(Some),
        }
    }
}

/// Where credentials come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    /// The secret's options; without a key, requests are anonymous.
    Config,
    /// Environment variables, with the secret's options over them.
    Environment,
    /// The same, then what the machine or container is entitled to.
    Chain,
}
