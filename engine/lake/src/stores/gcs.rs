//! A client for Google's cloud storage.

use std::sync::Arc;

use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ObjectStore, Result};

use super::fault::{StoreError, StoreFault, misconfigured};
use super::options::{Provider, StoreOptions};

/// A client of `bucket`; without options, as the process's environment variables (`GOOGLE_...`) say.
pub(super) fn connect(bucket: &str, options: Option<&StoreOptions>) -> Result<Arc<dyn ObjectStore>> {
    let given = options.cloned().unwrap_or_default();
    let provider = match options {
        Some(options) => options.provider().map_err(misconfigured)?,
        None => Provider::Environment,
    };
    let builder = match provider {
        Provider::Config => GoogleCloudStorageBuilder::new(),
        Provider::Environment | Provider::Chain => GoogleCloudStorageBuilder::from_env(),
    };
    let mut builder = builder.with_bucket_name(bucket).with_retry(given.retry()).with_client_options(given.client());
    if let Some(endpoint) = given.endpoint() {
        builder = builder.with_base_url(&endpoint);
    }
    if let Some(key) = given.get("service_account_key") {
        builder = builder.with_service_account_key(key);
    }
    if let Some(path) = given.get("service_account_path") {
        builder = builder.with_service_account_path(path);
    }
    if let Some(token) = given.get("bearer_token") {
        let credential = object_store::gcp::GcpCredential { bearer: token.to_owned() };
        builder = builder.with_credentials(Arc::new(object_store::StaticCredentialProvider::new(credential)));
    }
    let identified = given.get("bearer_token").is_some() || identified(&builder);
    match (provider, identified) {
        (Provider::Config, false) => builder = builder.with_skip_signature(true),
        (Provider::Environment, false) => return Err(no_credentials(bucket).into_raw("gcs")),
        _ => {}
    }
    Ok(Arc::new(builder.build()?))
}

fn identified(builder: &GoogleCloudStorageBuilder) -> bool {
    [GoogleConfigKey::ServiceAccount, GoogleConfigKey::ServiceAccountKey, GoogleConfigKey::ApplicationCredentials]
        .iter()
        .any(|key| builder.get_config_value(key).is_some_and(|value| !value.is_empty()))
        || builder.get_config_value(&GoogleConfigKey::SkipSignature).as_deref() == Some("true")
}

fn no_credentials(bucket: &str) -> StoreError {
    StoreError::new(StoreFault::Unauthenticated, format!("there are no credentials for gs://{bucket}")).with_hint(
        "Name them by CREATE SECRET ... (TYPE gcs, SERVICE_ACCOUNT_KEY '...'), or by GOOGLE_APPLICATION_CREDENTIALS.",
    )
}
