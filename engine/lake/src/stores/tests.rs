//! Locations, options, errors and settled puts, without a network but where nothing listens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, Error as Raw, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as RawResult,
};

use super::*;

fn canonical_text(text: &str) -> Result<String, String> {
    canonical(&Url::parse(text).unwrap()).map(|url| url.to_string()).map_err(|error| error.to_string())
}

#[test]
fn locations_have_one_form() {
    for (given, known) in [
        ("s3://b/t", "s3://b/t/"),
        ("s3://b//t//u/", "s3://b/t/u/"),
        ("s3://b/a/../t/", "s3://b/t/"),
        ("s3://b", "s3://b/"),
        ("gs://b/a%20b", "gs://b/a%20b/"),
        ("az://c/t", "az://c/t/"),
        ("abfss://c@account.dfs.core.windows.net/t", "abfss://c.account.dfs.core.windows.net/t/"),
        ("abfss://c.account.dfs.core.windows.net/t/", "abfss://c.account.dfs.core.windows.net/t/"),
    ] {
        assert_eq!(canonical_text(given).as_deref(), Ok(known), "{given}");
    }
    for refused in
        ["s3:///t", "s3://key:hush@b/t", "s3://key@b/t", "s3://b/t?token=hush", "s3://b/t#hush", "s3://b:80/t"]
    {
        let error = canonical_text(refused).unwrap_err();
        assert!(!error.contains("hush"), "{refused}: {error}");
    }
    assert!(canonical_text("ftp://b/t").is_err());
}

#[test]
fn scopes_are_locations_or_everything() {
    assert_eq!(scope(StoreKind::S3, "s3://").unwrap(), "");
    assert_eq!(scope(StoreKind::S3, "s3://b/t/").unwrap(), "s3://b/t");
    assert_eq!(
        scope(StoreKind::Azure, "abfss://c@a.dfs.core.windows.net").unwrap(),
        "abfss://c.a.dfs.core.windows.net"
    );
    assert!(scope(StoreKind::S3, "gs://b").is_err());
    assert!(scope(StoreKind::Gcs, "b").is_err());
}

fn options(kind: StoreKind, pairs: &[(&str, &str)]) -> Result<StoreOptions, OptionError> {
    let values: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    StoreOptions::new(kind, values)
}

#[test]
fn options_are_checked_and_shown_without_what_is_secret() {
    let good =
        options(StoreKind::S3, &[("key_id", "a"), ("secret", "hush"), ("endpoint", "h:1"), ("use_ssl", "false")]);
    let good = good.unwrap();
    assert_eq!(good.endpoint().as_deref(), Some("http://h:1"));
    assert!(!format!("{good:?}").contains("hush"));
    for bad in [
        &[("secret", "hush")][..],
        &[("provider", "hush")],
        &[("timeout", "0")],
        &[("retries", "many")],
        &[("account_key", "hush")],
    ] {
        let error = options(StoreKind::S3, bad).unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }
}

#[cfg(all(feature = "s3", feature = "azure", feature = "gcs"))]
#[test]
fn clients_can_be_made_of_options() {
    let s3 = options(StoreKind::S3, &[("endpoint", "https://h"), ("url_style", "vhost")]).unwrap();
    assert!(s3::connect("b", Some(&s3)).is_ok());
    let key = [("account_name", "a"), ("account_key", "a2V5")];
    assert!(azure::connect("c", Some(&options(StoreKind::Azure, &key).unwrap())).is_ok());
    let text = [("connection_string", "AccountName=a;AccountKey=a2V5;EndpointSuffix=core.windows.net")];
    assert!(azure::connect("c", Some(&options(StoreKind::Azure, &text).unwrap())).is_ok());
    let token = [("sas_token", "?sv=2024&sig=hush")];
    assert!(azure::connect("c.a.dfs.core.windows.net", Some(&options(StoreKind::Azure, &token).unwrap())).is_ok());
    let bearer = [("bearer_token", "hush")];
    assert!(gcs::connect("b", Some(&options(StoreKind::Gcs, &bearer).unwrap())).is_ok());
    let broken = options(StoreKind::Gcs, &[("service_account_key", "hush")]).unwrap();
    assert!(!gcs::connect("b", Some(&broken)).unwrap_err().to_string().contains("hush"));
}

#[test]
fn answers_become_faults_without_what_they_repeat() {
    let fault = |text: &str| {
        let error = Raw::Generic { store: "s3", source: text.to_owned().into() };
        StoreError::find(&fault::translate("b", "s3", error)).unwrap().clone()
    };
    let denied = "Server returned non-2xx status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>\
                  <Message>Check your key.</Message><StringToSign>hush</StringToSign></Error>";
    assert_eq!(fault(denied).fault, StoreFault::Unauthenticated);
    assert!(!fault(denied).to_string().contains("hush"));
    assert_eq!(fault("status code: 404 Not Found: <Code>NoSuchBucket</Code>").fault, StoreFault::NoBucket);
    let slow = fault("x, after 8 retries, max_retries: 8, status code: 503 Slow Down: <Code>SlowDown</Code>");
    assert_eq!((slow.fault, slow.retried), (StoreFault::Overloaded, true));
    assert_eq!(fault("anything").fault, StoreFault::Other);
    assert_eq!(StoreError::recall(&format!("Kernel error: {slow}")).unwrap().fault, StoreFault::Overloaded);
}

/// A store whose puts go wrong as a list says.
#[derive(Debug)]
struct Failing {
    inner: InMemory,
    /// Whether the put lands, and what is answered; past the end puts go well.
    puts: Vec<(bool, StoreFault)>,
    asked: AtomicUsize,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("failing")
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> RawResult<PutResult> {
        let Some((lands, fault)) = self.puts.get(self.asked.fetch_add(1, Ordering::SeqCst)) else {
            return self.inner.put_opts(path, payload, options).await;
        };
        if *lands {
            self.inner.put_opts(path, payload, options).await?;
        }
        Err(StoreError::new(*fault, "lost").into_raw("test"))
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> RawResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> RawResult<GetResult> {
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, RawResult<Path>>) -> BoxStream<'static, RawResult<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, RawResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> RawResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> RawResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

async fn settled(puts: &[(bool, StoreFault)], before: Option<&'static str>) -> (RawResult<PutResult>, usize) {
    let store = Arc::new(Failing { inner: InMemory::new(), puts: puts.to_vec(), asked: AtomicUsize::new(0) });
    let path = Path::from("_delta_log/0.json");
    if let Some(before) = before {
        store.inner.put(&path, before.into()).await.unwrap();
    }
    let dynamic: Arc<dyn ObjectStore> = Arc::clone(&store) as Arc<dyn ObjectStore>;
    let put = settle::create(&dynamic, &path, "ours".into(), PutOptions::from(PutMode::Create)).await;
    (put, store.asked.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_put_has_one_outcome_whatever_is_answered() {
    use StoreFault::{Denied, Overloaded, Unreachable};
    assert!(matches!(settled(&[], None).await, (Ok(_), 1)));
    assert!(matches!(settled(&[(true, Unreachable)], None).await, (Ok(_), 1)));
    assert!(matches!(settled(&[(false, Unreachable), (false, Overloaded)], None).await, (Ok(_), 3)));
    assert!(matches!(settled(&[], Some("theirs")).await, (Err(Raw::AlreadyExists { .. }), 1)));
    assert!(matches!(settled(&[(false, Unreachable)], Some("theirs")).await, (Err(Raw::AlreadyExists { .. }), 1)));
    // The same bytes are the same entry.
    assert!(matches!(settled(&[], Some("ours")).await, (Ok(_), 1)));
    // What never reached the store isn't tried again.
    assert!(matches!(settled(&[(false, Denied)], None).await, (Err(_), 1)));
    let (outcome, asked) = settled(&[(false, Unreachable); 20], None).await;
    let error = outcome.unwrap_err();
    assert_eq!((StoreError::find(&error).unwrap().fault, asked), (StoreFault::Unknown, 6));
}
