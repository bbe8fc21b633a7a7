//! SHA-256 of a model: what names its folder in the store.
//!
//! `ring` computes it, because its assembly is fast in every build profile: models have hundreds of megabytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use ring::digest::{Context, Digest, SHA256};

const BUFFER_BYTES: usize = 1 << 20;

/// Digest of a model with these files (relative path -> SHA-256 of the file, both as text): a single file's own
/// digest, otherwise the digest over the lines `path NUL digest LF` in the order of the paths.
pub(super) fn of_model(files: &BTreeMap<String, String>) -> String {
    if let (1, Some(digest)) = (files.len(), files.values().next()) {
        return digest.clone();
    }
    let mut context = Context::new(&SHA256);
    for (path, digest) in files {
        context.update(path.as_bytes());
        context.update(b"\0");
        context.update(digest.as_bytes());
        context.update(b"\n");
    }
    hexadecimal(context.finish())
}

/// Digest of a file.
pub(super) fn of_file(path: &Path) -> io::Result<String> {
    copy(&mut File::open(path)?, &mut io::sink())
}

/// Copies everything and answers with its digest.
pub(super) fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(hexadecimal(context.finish()));
        }
        context.update(bytes);
        to.write_all(bytes)?;
    }
}

fn hexadecimal(digest: Digest) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest.as_ref() {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn one_file_has_its_own_digest() {
        assert_eq!(copy(&mut io::empty(), &mut io::sink()).unwrap(), EMPTY);
        assert_eq!(of_model(&BTreeMap::from([("model.onnx".to_owned(), EMPTY.to_owned())])), EMPTY);
    }

    #[test]
    fn order_does_not_matter_but_names_do() {
        let digest = |files: &[(&str, &str)]| {
            of_model(&files.iter().map(|(path, digest)| (path.to_string(), digest.to_string())).collect())
        };
        assert_eq!(digest(&[("a", "1"), ("b/c", "2")]), digest(&[("b/c", "2"), ("a", "1")]));
        assert_ne!(digest(&[("a", "1"), ("b", "2")]), digest(&[("a", "2"), ("b", "1")]));
        assert_ne!(digest(&[("a", "1"), ("b", "2")]), digest(&[("a", "1"), ("c", "2")]));
    }
}
