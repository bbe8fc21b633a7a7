//! Secrets: what opens object stores, under names and scopes, sealed in the catalog.
//!
//! A secret's options are encrypted (AES-256-GCM) under a key that lies beside the catalog in a file of its own, both
//! readable by their owner alone. So a copy of the catalog gives nothing away; who can read the whole data directory
//! can read the secrets.

/// Options to and from bytes that say nothing.
mod seal;

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvia_lake::{SecretId, Secrets, StoreKind, StoreOptions};

use crate::catalog::{Catalog, NewSecret, SecretEntry};
use crate::error::{Error, Kind, Result};
use seal::Key;

/// The secrets of a data directory.
#[derive(Debug)]
pub(crate) struct SecretStore {
    catalog: Arc<Catalog>,
}

/// A secret as a statement gives it.
pub(crate) struct Given<'a> {
    pub name: &'a str,
    pub kind: StoreKind,
    /// `None` covers every location of the kind.
    pub scope: Option<&'a str>,
    pub options: &'a BTreeMap<String, String>,
    pub owner: &'a str,
}

impl SecretStore {
    pub fn new(catalog: Arc<Catalog>) -> SecretStore {
        SecretStore { catalog }
    }

    /// Stores a secret under its name.
    ///
    /// Errors: [`Kind::DuplicateObject`] unless `replace`, and of a scope that another secret has;
    /// [`Kind::InvalidParameterValue`] of an option or scope.
    pub async fn create(&self, given: Given<'_>, replace: bool) -> Result<()> {
        let kind = given.kind;
        let options = StoreOptions::new(kind, given.options.clone()).map_err(alluvia_lake::Error::from)?;
        let scope = match given.scope {
            Some(scope) => alluvia_lake::scope(kind, scope)?,
            None => String::new(),
        };
        let shown =
            options.iter().map(|(name, value)| (name.to_owned(), alluvia_lake::redacted(name, value).to_owned()));
        let new = NewSecret {
            name: given.name.to_owned(),
            kind,
            shown: shown.collect(),
            sealed: Key::open_or_make(self.catalog.data_dir())?
                .seal(&bound_to(given.name, kind, &scope), given.options)?,
            scope,
            owner: given.owner.to_owned(),
        };
        self.catalog.put_secret(new, replace).await.map(|_| ())
    }

    fn unseal(&self, secret: &SecretId) -> Result<StoreOptions> {
        let snapshot = self.catalog.snapshot();
        let entry = snapshot.secrets.get(&secret.name).filter(|entry| entry.version == secret.version);
        let entry = entry.ok_or_else(|| undefined(&secret.name))?;
        let key = Key::open(self.catalog.data_dir())?;
        let options = key.unseal(&bound_to(&entry.name, entry.kind, &entry.scope), &entry.sealed)?;
        Ok(StoreOptions::new(entry.kind, options).map_err(alluvia_lake::Error::from)?)
    }
}

impl Secrets for SecretStore {
    fn find(&self, kind: StoreKind, location: &str) -> Option<SecretId> {
        let snapshot = self.catalog.snapshot();
        let covering = snapshot.secrets.values().filter(|entry| entry.kind == kind && covers(&entry.scope, location));
        let found: &SecretEntry = covering.max_by_key(|entry| entry.scope.len())?;
        Some(SecretId { name: found.name.clone(), version: found.version })
    }

    fn open(&self, secret: &SecretId) -> std::result::Result<StoreOptions, String> {
        self.unseal(secret).map_err(|error| error.message)
    }
}

pub(crate) fn undefined(name: &str) -> Error {
    Error::new(Kind::UndefinedObject, format!("secret \"{name}\" does not exist"))
}

/// Whether a scope reaches a location: whole folders only, so that `s3://data` says nothing of `s3://data-of-others`.
fn covers(scope: &str, location: &str) -> bool {
    let plain = |text: &str| text.strip_prefix("s3a://").map(|rest| format!("s3://{rest}"));
    let location = plain(location).unwrap_or_else(|| location.to_owned());
    let scope = plain(scope).unwrap_or_else(|| scope.to_owned());
    match location.strip_prefix(&scope) {
        Some(rest) => scope.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// What a sealed secret belongs to: moved to another name or scope it can't be opened.
fn bound_to(name: &str, kind: StoreKind, scope: &str) -> String {
    format!("{name}\0{}\0{scope}", kind.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_cover_whole_folders() {
        assert!(covers("", "s3://a/b"));
        assert!(covers("s3://a", "s3://a/b"));
        assert!(covers("s3://a/b", "s3a://a/b/c"));
        assert!(covers("s3://a/b", "s3://a/b"));
        assert!(!covers("s3://a", "s3://ab/c"));
        assert!(!covers("s3://a/b", "s3://a/bc"));
        assert!(!covers("s3://a/b", "s3://a"));
    }
}
