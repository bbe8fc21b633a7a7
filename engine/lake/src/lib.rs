//! Delta tables as DataFusion tables. The only crate that names deltalake.
//!
//! A write goes: [`Snapshot`] (what the log says now) -> `rules` (what its metadata demands of a row) -> `writer`
//! (Parquet files, streamed) -> `commit` (one log entry, or none). A read goes: [`Snapshot`] -> its provider.
//!
//! In reading order:

/// Tables by their locations: created, opened, appended to, removed.
mod lake;
/// What a table is to be: columns, constraints, partitions, properties.
mod definition;
/// Which Arrow types a table stores, and what the others become.
mod types;
/// The format's table properties.
mod properties;
/// Changes of what a table is.
mod alter;
/// Where a table lies, and how its folder is emptied.
mod location;
/// Object stores, and what opens them.
mod stores;
/// A table as one version of its log has it.
mod snapshot;
/// The newest of each, kept and brought up to date.
mod opened;
/// The same as queries scan it.
mod scan;
/// Which versions there are, and when they came about.
mod history;
/// How a table came from one version to another.
mod compare;
/// What an external table is over.
mod external;
/// Files that no log lists.
mod files;
/// Streams of rows as plans.
mod stream;

/// What a table demands of a row.
mod rules;
/// SQL of a constraint to an expression over batches.
mod expressions;
/// NOT NULL at any depth.
mod nulls;
/// How rows lie in Parquet.
mod layout;
/// Names that the files use, where they aren't the schema's.
mod physical;
/// Rows into files.
mod writer;
/// Rows put by for later in a statement.
mod kept;
/// Rows changed: updated, deleted, merged.
mod change;
/// Files into a version.
mod commit;
/// What keeps a table in shape.
mod upkeep;

/// A transaction block's own view of a table.
mod block;

/// Errors, worded like PostgreSQL's.
mod error;

pub use alter::{Alteration, Altered};
pub use block::Block;
pub use change::{ACTION, BEFORE_PREFIX, Change, Changed, Clause, FILE, Operation, ROW, Staged};
pub use definition::{Check, Generated, TableSpec};
pub use error::{Error, Result};
pub use external::{Format, PARTITION_COLUMNS};
pub use files::Reading;
pub use history::{At, Commit};
pub use kept::{Keeper, Kept};
pub use lake::{Insertion, Lake, Written};
pub use rules::stored;
pub use scan::{FileInfo, RowScan};
pub use snapshot::Snapshot;
pub use stores::{OptionError, SecretId, Secrets, StoreError, StoreFault, StoreKind, StoreOptions, redacted, scope};
pub use stream::plan_of_rows;
pub use types::{storable, storable_schema};
pub use upkeep::{Converted, Detail, LogEntry, Optimize, Optimized, Restored, Vacuum, Vacuumed};

#[cfg(test)]
mod tests;
