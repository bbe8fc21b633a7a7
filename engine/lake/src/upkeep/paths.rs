//! Paths of a table's files, from what the log says to what the store calls them.

use deltalake::Path;
use deltalake::kernel::{DeletionVectorDescriptor, StorageType};
use url::Url;
use uuid::Uuid;

const CHANGES_FOLDER: &str = "_change_data";
/// Letters that encode the number in a deletion vector's file name.
const ENCODED_UUID_LETTERS: usize = 20;
/// Source: ZeroMQ RFC 32, Z85.
const Z85: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// What the store calls a file of the log; `None` when it lies outside the table's folder.
pub(super) fn relative(path: &str, root: &Url) -> Option<Path> {
    let path = match Url::parse(path) {
        Ok(url) if url.scheme().len() > 1 => root.make_relative(&url).filter(|path| !path.starts_with(".."))?,
        _ => path.to_owned(),
    };
    Some(Path::parse(&path).unwrap_or_else(|_| Path::from(path.as_str())))
}

/// Where a deletion vector lies; `None` when it lies in the log itself, or outside the table's folder.
///
/// Source: "Derived Fields" of deletion vectors in the Delta protocol.
pub(super) fn deletion_vector_path(vector: &DeletionVectorDescriptor) -> Option<Path> {
    if !matches!(vector.storage_type, StorageType::UuidRelativePath) {
        return None;
    }
    let text = vector.path_or_inline_dv.as_str();
    let (prefix, encoded) = text.split_at_checked(text.len().checked_sub(ENCODED_UUID_LETTERS)?)?;
    let name = format!("deletion_vector_{}.bin", uuid(encoded)?);
    Some(if prefix.is_empty() { Path::from(name) } else { Path::from(format!("{prefix}/{name}")) })
}

/// Five letters are four bytes, the first letter the most significant.
fn uuid(encoded: &str) -> Option<Uuid> {
    let mut bytes = Vec::with_capacity(16);
    for letters in encoded.as_bytes().chunks(5) {
        let mut number = 0u32;
        for letter in letters {
            let digit = Z85.iter().position(|known| known == letter)?;
            number = number.checked_mul(85)?.checked_add(u32::try_from(digit).ok()?)?;
        }
        bytes.extend(number.to_be_bytes());
    }
    Uuid::from_slice(&bytes).ok()
}

/// Whether a file lies where a table's data lies: folders and files that begin with `_` or `.` are somebody else's,
/// but for recorded changes, and for partitions of columns with such names.
pub(super) fn in_table(path: &Path, partition_columns: &[String]) -> bool {
    let hidden = |part: &str| {
        (part.starts_with('_') || part.starts_with('.'))
            && !partition_columns.iter().any(|column| part.strip_prefix(column.as_str()).is_some_and(is_value))
    };
    let mut parts = path.as_ref().split('/').peekable();
    if parts.peek() == Some(&CHANGES_FOLDER) {
        parts.next();
    }
    !parts.any(hidden)
}

fn is_value(rest: &str) -> bool {
    rest.starts_with('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_vector_has_the_path_of_the_protocols_example() {
        let vector = DeletionVectorDescriptor {
            storage_type: StorageType::UuidRelativePath,
            path_or_inline_dv: "ab^-aqEH.-t@S}K{vb[*k^".to_owned(),
            offset: Some(4),
            size_in_bytes: 40,
            cardinality: 6,
        };
        let path = deletion_vector_path(&vector).unwrap();
        assert_eq!(path.as_ref(), "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin");
        let broken = DeletionVectorDescriptor { path_or_inline_dv: "é".to_owned(), ..vector };
        assert_eq!(deletion_vector_path(&broken), None);
    }

    #[test]
    fn hidden_files_are_not_the_tables() {
        let columns = ["_p".to_owned()];
        let cases = [
            ("a.parquet", true),
            ("_p=1/a.parquet", true),
            ("_change_data/_p=1/a.parquet", true),
            ("_delta_log/0.json", false),
            ("_started", false),
            ("p/.a.parquet.crc", false),
            ("_q=1/a.parquet", false),
        ];
        for (path, expected) in cases {
            assert_eq!(in_table(&Path::from(path), &columns), expected, "{path}");
        }
    }
}
