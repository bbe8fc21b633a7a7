//! A put that must not overwrite (a table's log entry), with an outcome that is known.
//!
//! Such a put can't simply be sent again when its answer is lost: had the first one landed, the second would be refused,
//! and a commit that stands would be taken for a conflict, run again, and count twice. So a refusal is believed only
//! after the object has been read back: if it holds these very bytes, it is ours. The bytes of two log entries differ,
//! because every entry names files or an identifier of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error as Raw, ObjectStore, ObjectStoreExt, PutOptions, PutPayload, PutResult, Result};

use super::fault::{StoreError, StoreFault};

const ATTEMPTS_MAX: u32 = 6;
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 200 });

/// Puts `payload` where nothing is yet.
///
/// # Errors
/// [`Raw::AlreadyExists`] when something else is there. A [`StoreFault::Unknown`] when the store has taken a request
/// and can't be asked what became of it.
pub(super) async fn create(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    payload: PutPayload,
    options: PutOptions,
) -> Result<PutResult> {
    let mut in_doubt = false;
    let mut failure = None;
    for attempt in 0..ATTEMPTS_MAX {
        if attempt > 0 {
            tokio::time::sleep(PAUSE * 2u32.saturating_pow(attempt - 1)).await;
        }
        let error = match store.put_opts(path, payload.clone(), options.clone()).await {
            Ok(put) => return Ok(put),
            Err(error) => error,
        };
        let refused = matches!(error, Raw::AlreadyExists { .. } | Raw::Precondition { .. });
        in_doubt |= refused || may_have_landed(&error);
        if !in_doubt {
            return Err(error);
        }
        match read_back(store, path, &payload).await {
            Ok(Found::Ours) => return Ok(PutResult { e_tag: None, version: None }),
            Ok(Found::Others) => {
                return Err(Raw::AlreadyExists { path: path.to_string(), source: Box::new(error) });
            }
            // A put that is still under way, ours or another's, made the store refuse this one; or it never arrived.
            Ok(Found::Nothing) => failure = Some(error),
            Err(unreadable) => failure = Some(unreadable),
        }
    }
    let cause = failure.map(|error| error.to_string()).unwrap_or_default();
    let unknown =
        StoreError::new(StoreFault::Unknown, format!("it is not known whether the commit took place: {cause}"))
            .with_hint("Look at the table before running the statement again.");
    Err(unknown.into_raw("commit"))
}

enum Found {
    Ours,
    Others,
    Nothing,
}

async fn read_back(store: &Arc<dyn ObjectStore>, path: &Path, payload: &PutPayload) -> Result<Found> {
    match store.get(path).await {
        Ok(found) => {
            let found = found.bytes().await?;
            Ok(if found == Bytes::from(payload.clone()) { Found::Ours } else { Found::Others })
        }
        Err(Raw::NotFound { .. }) => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

/// Whether the request, or one that it repeated, can have reached the store and been heeded.
fn may_have_landed(error: &Raw) -> bool {
    match StoreError::find(error) {
        Some(found) if found.retried => true,
        Some(found) => !matches!(
            found.fault,
            StoreFault::Unauthenticated | StoreFault::Denied | StoreFault::NoBucket | StoreFault::Misconfigured
        ),
        None => true,
    }
}
