//! AES-256-GCM over a secret's options, under the key of the data directory.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{Error, Kind, Result};

const KEY_BYTES: usize = 32;
const FILE: &str = "secrets.key";

/// The key of a data directory.
pub(super) struct Key {
    key: LessSafeKey,
}

impl Key {
    /// The key in its file.
    ///
    /// Errors: [`Kind::ConfigurationInvalid`] when there is none, or not a key.
    pub fn open(data_dir: &Path) -> Result<Key> {
        let path = data_dir.join(FILE);
        let mut bytes = Vec::new();
        File::open(&path).and_then(|file| file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)).map_err(
            |error| {
                Error::new(
                    Kind::ConfigurationInvalid,
                    format!("the key of the secrets cannot be read: {}", error.kind()),
                )
                .with_detail(format!("It is expected in \"{}\".", path.display()))
                .with_hint("Restore the file, or replace the secrets.")
            },
        )?;
        Key::from_bytes(&bytes)
    }

    /// The same; a new one where there is none.
    pub fn open_or_make(data_dir: &Path) -> Result<Key> {
        let path = data_dir.join(FILE);
        if !path.exists() {
            make(data_dir, &path)
                .map_err(|error| Error::new(Kind::Io, format!("could not write \"{}\": {error}", path.display())))?;
        }
        Key::open(data_dir)
    }

    /// Encrypts; `bound_to` must be the same again when it is opened.
    pub fn seal(&self, bound_to: &str, options: &BTreeMap<String, String>) -> Result<Vec<u8>> {
        let failed = |_| Error::internal("a secret could not be encrypted");
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(failed)?;
        let mut sealed = serde_json::to_vec(options).map_err(|_| Error::internal("a secret has no JSON form"))?;
        let bound_to = Aad::from(bound_to.as_bytes());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound_to, &mut sealed)
            .map_err(failed)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Errors: [`Kind::ConfigurationInvalid`] when another key sealed it, or something has been changed.
    pub fn unseal(&self, bound_to: &str, sealed: &[u8]) -> Result<BTreeMap<String, String>> {
        let failed = || {
            Error::new(Kind::ConfigurationInvalid, "it was encrypted with another key, or has been changed")
                .with_hint("Restore the file secrets.key, or replace the secret.")
        };
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(failed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
        let mut opened = sealed.to_vec();
        let options =
            self.key.open_in_place(nonce, Aad::from(bound_to.as_bytes()), &mut opened).map_err(|_| failed())?;
        serde_json::from_slice(options).map_err(|_| failed())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Key> {
        let unbound = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| {
            Error::new(Kind::ConfigurationInvalid, "the file secrets.key holds no key")
                .with_hint("Restore the file, or remove it and replace the secrets.")
        })?;
        Ok(Key { key: LessSafeKey::new(unbound) })
    }
}

/// A new key, whole or not at all: written aside, and linked to its name once it is on disk. Whoever comes second keeps
/// the first one's.
fn make(data_dir: &Path, path: &Path) -> std::io::Result<()> {
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| std::io::Error::other("no random numbers"))?;
    let aside: PathBuf = data_dir.join(format!("{FILE}.{}", uuid::Uuid::new_v4().simple()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    let linked = file.write_all(&bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::hard_link(&aside, path));
    std::fs::remove_file(&aside)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        // The name is on disk before anything is sealed with the key.
        Ok(()) => File::open(data_dir)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> BTreeMap<String, String> {
        BTreeMap::from([("secret".to_owned(), "hush".to_owned())])
    }

    #[test]
    fn what_is_sealed_opens_again_and_only_where_it_belongs() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::open_or_make(folder.path()).unwrap();
        let sealed = key.seal("a", &options()).unwrap();
        assert!(!sealed.windows(4).any(|bytes| bytes == b"hush"));
        assert_eq!(Key::open_or_make(folder.path()).unwrap().unseal("a", &sealed).unwrap(), options());
        assert!(key.unseal("b", &sealed).is_err());
        let mut changed = sealed.clone();
        changed[20] ^= 1;
        assert!(key.unseal("a", &changed).is_err());
        assert!(key.unseal("a", &sealed[..5]).is_err());
        let other = tempfile::tempdir().unwrap();
        assert!(Key::open_or_make(other.path()).unwrap().unseal("a", &sealed).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn the_key_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Key::open_or_make(folder.path()).unwrap();
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
