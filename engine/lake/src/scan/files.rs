//! The files of a version with their statistics, one row each, as arrays.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use deltalake::kernel::EagerSnapshot;
use url::Url;

use crate::error::{Error, Result};

/// What the log says of each file, in the log's order. Columns: `path` (as written, percent-encoded), `size_bytes`,
/// `modification_time`, `num_records`, and `min.x`, `max.x`, `null_count.x`, `partition.x` for columns x.
#[derive(Debug)]
pub(crate) struct FileList {
    actions: RecordBatch,
    /// Percent-decoded.
    paths: Vec<String>,
}

impl FileList {
    pub fn of(state: &EagerSnapshot) -> Result<FileList> {
        let batches = state.add_actions_batches(true)?;
        let actions = match batches.as_slice() {
            [] => state.add_actions_table(true)?,
            [one] => one.clone(),
            all => concat_batches(&all[0].schema(), all).map_err(datafusion::error::DataFusionError::from)?,
        };
        let paths = state.log_data().iter().map(|file| file.path().into_owned()).collect::<Vec<_>>();
        if paths.len() != actions.num_rows() {
            return Err(Error::Internal { message: "the log's files and their statistics differ in number".into() });
        }
        Ok(FileList { actions, paths })
    }

    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// The paths as the log writes them of the files with these decoded paths.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a path is none of this version's.
    pub fn encoded(&self, wanted: &BTreeSet<String>) -> Result<Vec<String>> {
        let column = self.encoded_column()?;
        let found: Vec<String> = self
            .paths
            .iter()
            .zip(column.iter())
            .filter(|(path, _)| wanted.contains(*path))
            .map(|(path, encoded)| encoded.unwrap_or(path).to_owned())
            .collect();
        if found.len() != wanted.len() {
            return Err(Error::Conflict { message: "A file to read is no longer part of the table.".into() });
        }
        Ok(found)
    }

    /// Each file's address to its path.
    pub fn by_address(&self, root: &Url) -> Result<HashMap<String, String>> {
        let mut files = HashMap::with_capacity(self.len());
        for (encoded, path) in self.encoded_column()?.iter().zip(&self.paths) {
            let encoded = encoded.unwrap_or(path);
            let address = match Url::parse(encoded) {
                Ok(absolute) => absolute,
                Err(_) => root.join(encoded).map_err(|error| Error::Internal {
                    message: format!("the log names a file \"{encoded}\": {error}"),
                })?,
            };
            files.insert(address.into(), path.clone());
        }
        Ok(files)
    }

    fn encoded_column(&self) -> Result<&StringArray> {
        let column = self.actions.column_by_name("path").and_then(|column| column.as_string_opt::<i32>());
        column.ok_or_else(|| Error::Internal { message: "the log's files have no paths".into() })
    }
}
