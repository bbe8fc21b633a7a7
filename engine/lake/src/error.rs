//! What can go wrong in the lake, typed so that the caller can choose an SQLSTATE, and worded like PostgreSQL:
//! a lowercase message, with detail and hint as sentences.

use std::error::Error as StdError;

use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;

use crate::stores::{StoreError, StoreFault};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no delta table at \"{location}\"")]
    NotATable { location: String },
    /// A version or a time that the log doesn't reach.
    #[error("{message}")]
    NoSuchVersion { message: String, detail: String },
    /// `files` are the first few of `count`.
    #[error("cannot restore version {version}: {count} of its files are gone")]
    FilesMissing { version: u64, count: usize, files: String },
    #[error("file \"{path}\" lies in a partition of column \"{column}\", which is not declared")]
    UndeclaredPartition { path: String, column: String },
    #[error("location \"{location}\" is in use")]
    LocationInUse { location: String },
    /// The definition of a table contradicts itself or the format.
    #[error("{message}")]
    InvalidDefinition { message: String },
    #[error("column \"{column}\" does not exist")]
    UndefinedColumn { column: String },
    #[error("column \"{column}\" already exists")]
    DuplicateColumn { column: String },
    #[error("constraint \"{constraint}\" does not exist")]
    UndefinedConstraint { constraint: String },
    #[error("constraint \"{constraint}\" already exists")]
    DuplicateConstraint { constraint: String },
    /// `column` is a dotted path when the constraint is on a nested field; `row` the first failing row, shortened.
    #[error("null value in column \"{column}\" violates not-null constraint")]
    NotNullViolation { column: String, row: String },
    #[error("new row violates check constraint \"{constraint}\"")]
    CheckViolation { constraint: String, expression: String, row: String },
    #[error("value of column \"{column}\" differs from its generation expression")]
    GeneratedViolation { column: String, expression: String, row: String },
    /// `column` is empty where only the type is known.
    #[error("{}", unsupported_type(column, data_type))]
    UnsupportedType { column: String, data_type: DataType },
    #[error("delta feature not supported: {name}")]
    UnsupportedFeature { name: String },
    #[error("the table kept no changes of rows at version {version}")]
    ChangesNotKept { version: u64 },
    #[error("{what} is not supported")]
    Unsupported { what: String },
    /// `extensions` are those that were looked for in a folder.
    #[error("no files match \"{path}\"")]
    NoFiles { path: String, extensions: Option<&'static [&'static str]> },
    #[error("cannot read {file} as {format}: {message}")]
    BrokenFile { file: String, format: &'static str, message: String },
    /// Another commit came between; the statement may be run again on a fresh snapshot.
    #[error("could not commit because of a concurrent change of the table")]
    Conflict { message: String },
    #[error("the table is append-only")]
    AppendOnly,
    #[error("value of column \"{column}\" cannot be stored: {message}")]
    CastFailed { column: String, message: String },
    /// An option that a location's store can't have.
    #[error("{message}")]
    InvalidOption { message: String },
    /// What an object store answered, or that it didn't.
    #[error(transparent)]
    Store(StoreError),
    #[error("i/o error: {0}")]
    Io(#[source] std::io::Error),
    #[error("out of memory")]
    OutOfMemory { message: String },
    #[error("canceled")]
    Cancelled,
    /// An error of the input plan, its chain of sources as it was raised.
    #[error(transparent)]
    DataFusion(DataFusionError),
    #[error(transparent)]
    Delta(DeltaTableError),
    /// A fault of this program or of a library, never of the input.
    #[error("{message}")]
    Internal { message: String },
}

impl Error {
    /// Whether a commit may have landed all the same.
    pub(crate) fn in_doubt(&self) -> bool {
        matches!(self, Error::Store(StoreError { fault: StoreFault::Unknown, .. }))
    }

    /// The second sentence of the report: which row, which expression, what the other side said.
    pub fn detail(&self) -> Option<String> {
        match self {
            Error::NotNullViolation { row, .. } => Some(format!("Failing row contains ({row}).")),
            Error::CheckViolation { expression, row, .. } => {
                Some(format!("The expression is {expression}. Failing row contains ({row})."))
            }
            Error::GeneratedViolation { expression, row, .. } => {
                Some(format!("The expression is {expression}. Failing row contains ({row})."))
            }
            Error::FilesMissing { files, .. } => Some(format!("Missing are {files}.")),
            Error::NoSuchVersion { detail, .. } => Some(detail.clone()),
            Error::NoFiles { extensions: Some(extensions), .. } => {
                Some(format!("In a folder, files that end in .{} are read.", extensions.join(", .")))
            }
            Error::Conflict { message } | Error::OutOfMemory { message } => Some(message.clone()),
            _ => None,
        }
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::NotATable { .. } => "A delta table is a folder that holds a _delta_log folder with commits.",
            Error::UndeclaredPartition { .. } => "Name the column with its type: PARTITIONED BY (<column> <type>).",
            Error::FilesMissing { .. } => "VACUUM deletes the files of old versions; choose a newer version.",
            Error::ChangesNotKept { .. } => {
                "It does with the property delta.enableChangeDataFeed = true, from then on; table_diff compares any two \
                 versions."
            }
            Error::LocationInUse { .. } => "Choose an empty location, or open what is there as an external table.",
            Error::CheckViolation { .. } => {
                "In a delta table a check must be true for every row; NULL does not pass, unlike in PostgreSQL."
            }
            Error::GeneratedViolation { .. } => "Leave the column out of the statement and it is computed.",
            Error::UnsupportedType { .. } => "Cast the column to a type that the table can hold, such as text.",
            Error::Conflict { .. } => "Run the statement again.",
            Error::AppendOnly => "Its property delta.appendOnly is true: rows can be added, not changed.",
            Error::Store(error) => return error.hint.clone(),
            Error::OutOfMemory { .. } => "Raise the memory limit, or write fewer partitions at once.",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn unsupported_type(column: &str, data_type: &DataType) -> String {
    match column {
        "" => format!("delta tables cannot store type {data_type}"),
        column => format!("column \"{column}\" has type {data_type}, which delta tables cannot store"),
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        if let DataFusionError::ResourcesExhausted(message) = error.find_root() {
            return Error::OutOfMemory { message: message.clone() };
        }
        if let Some(found) = StoreError::find(&error) {
            return Error::Store(found.clone());
        }
        Error::DataFusion(error)
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        DeltaTableError::from(error).into()
    }
}

impl From<DeltaTableError> for Error {
    fn from(error: DeltaTableError) -> Self {
        if let Some(found) = store_error(&error).filter(|_| !refused_as_taken(&error)) {
            return Error::Store(found);
        }
        if let Some(io) = io_error(&error) {
            return Error::Io(std::io::Error::new(io.kind(), error.to_string()));
        }
        match error {
            DeltaTableError::VersionAlreadyExists(version) => {
                Error::Conflict { message: format!("Version {version} exists already.") }
            }
            DeltaTableError::Transaction { source } => match source {
                TransactionError::CommitConflict(conflict) => Error::Conflict { message: conflict.to_string() },
                TransactionError::VersionAlreadyExists(_) | TransactionError::MaxCommitAttempts(_) => {
                    Error::Conflict { message: source.to_string() }
                }
                TransactionError::DeltaTableAppendOnly => Error::AppendOnly,
                TransactionError::UnsupportedTableFeatures(features) => Error::UnsupportedFeature {
                    name: features.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                },
                TransactionError::TableFeaturesRequired(feature) => {
                    Error::UnsupportedFeature { name: feature.to_string() }
                }
                source => Error::Delta(DeltaTableError::Transaction { source }),
            },
            error => Error::Delta(error),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::Io(error)
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        if error.is_cancelled() {
            return Error::Cancelled;
        }
        Error::Internal { message: format!("a task of the write failed: {error}") }
    }
}

/// The store's error in one of the log's library: mostly in its chain, and of the kernel only in its words.
fn store_error(error: &DeltaTableError) -> Option<StoreError> {
    match error {
        DeltaTableError::KernelError(_) => StoreError::recall(&error.to_string()),
        error => StoreError::find(error).cloned(),
    }
}

/// Whether a commit was refused because its version is there, which is a conflict and no fault of the store.
fn refused_as_taken(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction { source: TransactionError::VersionAlreadyExists(_) }
    )
}

/// The i/o error at the bottom of a chain: a full disk reads as one, not as a fault of the format.
fn io_error(error: &DeltaTableError) -> Option<&std::io::Error> {
    let mut source = error.source();
    while let Some(current) = source {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            return Some(io);
        }
        source = current.source();
    }
    None
}
