//! The table as a whole: how many files, how many bytes, and what its metadata says.

use crate::snapshot::Snapshot;

/// What a version of a table amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    pub id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    /// Milliseconds since 1970, where the metadata has it.
    pub created_at_ms: Option<i64>,
    pub files: u64,
    pub bytes: u64,
    pub min_reader_version: i32,
    pub min_writer_version: i32,
    /// Sorted by name.
    pub table_features: Vec<String>,
}

impl Snapshot {
    pub fn detail(&self) -> Detail {
        let metadata = self.state().metadata();
        let protocol = self.state().protocol();
        let (files, bytes) = self.state().log_data().iter().fold((0, 0u64), |(files, bytes), file| {
            (files + 1, bytes.saturating_add(u64::try_from(file.size()).unwrap_or_default()))
        });
        let readers = protocol.reader_features().unwrap_or_default().iter();
        let writers = protocol.writer_features().unwrap_or_default().iter();
        let mut table_features: Vec<String> = readers.chain(writers).map(ToString::to_string).collect();
        table_features.sort();
        table_features.dedup();
        Detail {
            id: metadata.id().to_owned(),
            name: metadata.name().map(str::to_owned),
            description: metadata.description().map(str::to_owned),
            created_at_ms: metadata.created_time(),
            files,
            bytes,
            min_reader_version: protocol.min_reader_version(),
            min_writer_version: protocol.min_writer_version(),
            table_features,
        }
    }
}
