//! What keeps a table in shape, and what tells how it stands: none of it changes a row.

/// Who committed what, and when.
mod history;
/// The table as a whole.
mod detail;
/// Files that no version within retention names, named or deleted.
mod vacuum;
/// Uploads that were never ended.
mod abandoned;
/// The table as it was.
mod restore;
/// Fewer and larger files.
mod optimize;
/// Which files are rewritten together.
mod bins;
/// Rows that are asked for together, together.
mod curve;
/// A log summed up.
mod checkpoint;
/// Parquet files where they lie.
mod convert;
/// What a Parquet file says of itself.
mod footer;
/// Folders that name partitions.
mod hive;
/// Compaction without being asked.
mod auto;
/// What the store calls a file of the log.
mod paths;

pub use convert::Converted;
pub use detail::Detail;
pub use history::LogEntry;
pub use optimize::{Optimize, Optimized};
pub use restore::Restored;
pub use vacuum::{Vacuum, Vacuumed};
