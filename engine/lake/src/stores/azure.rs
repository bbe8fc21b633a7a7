//! A client for Azure's blob storage.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::{ObjectStore, Result};

use super::fault::{StoreError, StoreFault, misconfigured};
use super::options::{OptionError, Provider, StoreOptions};

/// A client of `name`, which is `container` or `container.account.host`; without options, as the process's environment
/// variables (`AZURE_...`) say.
pub(super) fn connect(name: &str, options: Option<&StoreOptions>) -> Result<Arc<dyn ObjectStore>> {
    let given = options.cloned().unwrap_or_default();
    let provider = match options {
        Some(options) => options.provider().map_err(misconfigured)?,
        None => Provider::Environment,
    };
    let builder = match provider {
        Provider::Config => MicrosoftAzureBuilder::new(),
        Provider::Environment | Provider::Chain => MicrosoftAzureBuilder::from_env(),
    };
    let (container, account) = match name.split_once('.') {
        Some((container, host)) => (container, host.split('.').next()),
        None => (name, None),
    };
    let parts = given.get("connection_string").map(ConnectionString::parse).transpose().map_err(misconfigured)?;
    let parts = parts.unwrap_or_default();
    let endpoint = given.endpoint().or(parts.endpoint);
    let insecure = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = builder
        .with_container_name(container)
        .with_retry(given.retry())
        .with_client_options(given.client().with_allow_http(insecure));
    if let Some(account) = given.get("account_name").map(str::to_owned).or(parts.account).or(account.map(str::to_owned))
    {
        builder = builder.with_account(account);
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let key = given.get("account_key").map(str::to_owned).or(parts.key);
    let token = given.get("sas_token").map(str::to_owned).or(parts.token);
    for (key, value) in [
        (AzureConfigKey::AccessKey, key),
        (AzureConfigKey::SasKey, token),
        (AzureConfigKey::AuthorityId, given.get("tenant_id").map(str::to_owned)),
        (AzureConfigKey::ClientId, given.get("client_id").map(str::to_owned)),
        (AzureConfigKey::ClientSecret, given.get("client_secret").map(str::to_owned)),
    ] {
        if let Some(value) = value {
            builder = builder.with_config(key, value);
        }
    }
    match (provider, identified(&builder)) {
        (Provider::Config, false) => builder = builder.with_skip_signature(true),
        (Provider::Environment, false) => return Err(no_credentials(container).into_raw("azure")),
        _ => {}
    }
    Ok(Arc::new(builder.build()?))
}

fn identified(builder: &MicrosoftAzureBuilder) -> bool {
    [
        AzureConfigKey::AccessKey,
        AzureConfigKey::SasKey,
        AzureConfigKey::Token,
        AzureConfigKey::ClientSecret,
        AzureConfigKey::FederatedTokenFile,
    ]
    .iter()
    .any(|key| builder.get_config_value(key).is_some_and(|value| !value.is_empty()))
        || [AzureConfigKey::UseEmulator, AzureConfigKey::SkipSignature, AzureConfigKey::UseAzureCli]
            .iter()
            .any(|key| builder.get_config_value(key).as_deref() == Some("true"))
}

fn no_credentials(container: &str) -> StoreError {
    StoreError::new(StoreFault::Unauthenticated, format!("there are no credentials for container \"{container}\""))
        .with_hint(
            "Name them by CREATE SECRET ... (TYPE azure, ACCOUNT_NAME '...', ACCOUNT_KEY '...'), or by \
             AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY.",
        )
}

/// What a connection string says, as Azure's portal gives it out.
#[derive(Default)]
struct ConnectionString {
    account: Option<String>,
    key: Option<String>,
    token: Option<String>,
    endpoint: Option<String>,
}

impl ConnectionString {
    fn parse(text: &str) -> Result<ConnectionString, OptionError> {
        let mut found = ConnectionString::default();
        let (mut protocol, mut suffix) = ("https".to_owned(), None);
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or(OptionError::Invalid {
                name: "connection_string",
                expected: "it is pairs of name=value with semicolons between them",
            })?;
            let value = value.to_owned();
            match name.to_ascii_lowercase().as_str() {
                "accountname" => found.account = Some(value),
                "accountkey" => found.key = Some(value),
                "sharedaccesssignature" => found.token = Some(value),
                "blobendpoint" => found.endpoint = Some(value.trim_end_matches('/').to_owned()),
                "defaultendpointsprotocol" => protocol = value,
                "endpointsuffix" => suffix = Some(value),
                _ => {}
            }
        }
        if let (None, Some(account), Some(suffix)) = (&found.endpoint, &found.account, suffix) {
            found.endpoint = Some(format!("{protocol}://{account}.blob.{suffix}"));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_are_taken_apart() {
        let found = ConnectionString::parse(
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5PT0=;EndpointSuffix=core.windows.net;",
        )
        .unwrap();
        assert_eq!(found.account.as_deref(), Some("a"));
        assert_eq!(found.key.as_deref(), Some("a2V5PT0="));
        assert_eq!(found.endpoint.as_deref(), Some("https://a.blob.core.windows.net"));
        assert!(ConnectionString::parse("nonsense").is_err());
    }
}
