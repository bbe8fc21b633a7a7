//! A client for S3 and what speaks like it.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::{ObjectStore, Result};

use super::fault::{StoreError, StoreFault};
use super::options::{Provider, StoreOptions};

/// A client of `bucket`; without options, as the process's environment variables (`AWS_...`) say.
pub(super) fn connect(bucket: &str, options: Option<&StoreOptions>) -> Result<Arc<dyn ObjectStore>> {
    let given = options.cloned().unwrap_or_default();
    let provider = match options {
        Some(options) => options.provider().map_err(super::fault::misconfigured)?,
        None => Provider::Environment,
    };
    let builder = match provider {
        Provider::Config => AmazonS3Builder::new(),
        Provider::Environment | Provider::Chain => AmazonS3Builder::from_env(),
    };
    let mut builder = builder.with_bucket_name(bucket).with_retry(given.retry());
    for (name, key) in [
        ("key_id", AmazonS3ConfigKey::AccessKeyId),
        ("secret", AmazonS3ConfigKey::SecretAccessKey),
        ("session_token", AmazonS3ConfigKey::Token),
        ("region", AmazonS3ConfigKey::Region),
    ] {
        if let Some(value) = given.get(name) {
            builder = builder.with_config(key, value);
        }
    }
    builder = with_endpoint(builder, bucket, &given, provider);
    if provider == Provider::Config && given.get("key_id").is_none() {
        builder = builder.with_skip_signature(true);
    }
    if provider == Provider::Environment && !identified(&builder) {
        return Err(no_credentials(bucket).into_raw("s3"));
    }
    // Commits rest on it, whatever the environment says.
    let built = builder.with_conditional_put(S3ConditionalPut::ETagMatch).build()?;
    Ok(Arc::new(built))
}

fn with_endpoint(
    mut builder: AmazonS3Builder,
    bucket: &str,
    given: &StoreOptions,
    provider: Provider,
) -> AmazonS3Builder {
    let path_style = given.url_style_path().ok().flatten();
    let client = match (provider, given.endpoint()) {
        // Variables such as AWS_ALLOW_HTTP are heeded as long as the secret names no endpoint of its own.
        (Provider::Environment | Provider::Chain, None) => given.client().with_allow_http(
            builder
                .get_config_value(&AmazonS3ConfigKey::Endpoint)
                .is_some_and(|endpoint| endpoint.starts_with("http://")),
        ),
        _ => given.client(),
    };
    builder = builder.with_client_options(client);
    match (given.endpoint(), path_style) {
        (Some(endpoint), Some(false)) => {
            let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", &endpoint));
            builder.with_endpoint(format!("{scheme}://{bucket}.{host}")).with_virtual_hosted_style_request(true)
        }
        (Some(endpoint), _) => builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false),
        (None, Some(path_style)) => builder.with_virtual_hosted_style_request(!path_style),
        (None, None) => builder,
    }
}

/// Whether anything names credentials. Without, the client would ask the network for those of a machine in the cloud,
/// which takes minutes to fail anywhere else: `PROVIDER credential_chain` asks for that.
fn identified(builder: &AmazonS3Builder) -> bool {
    let set = |key| builder.get_config_value(&key).is_some_and(|value: String| !value.is_empty());
    set(AmazonS3ConfigKey::AccessKeyId)
        || set(AmazonS3ConfigKey::WebIdentityTokenFile)
        || set(AmazonS3ConfigKey::ContainerCredentialsRelativeUri)
        || set(AmazonS3ConfigKey::ContainerCredentialsFullUri)
        || builder.get_config_value(&AmazonS3ConfigKey::SkipSignature).as_deref() == Some("true")
}

fn no_credentials(bucket: &str) -> StoreError {
    StoreError::new(StoreFault::Unauthenticated, format!("there are no credentials for s3://{bucket}")).with_hint(
        "Name them by CREATE SECRET ... (TYPE s3, KEY_ID '...', SECRET '...'), or by AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY; (TYPE s3, PROVIDER credential_chain) takes those of the machine.",
    )
}
