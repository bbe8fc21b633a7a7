//! Delta tables as DataFusion tables. The only crate that names deltalake.
//!
//! A write goes: [`Snapshot`] (what the log says now) -> `rules` (what its metadata demands of a row) -> `writer`
//! (Parquet files, streamed) -> `commit` (one log entry, or none). A read goes: [`Snapshot`] -> its provider.

mod commit;
mod definition;
mod error;
mod expressions;
mod external;
mod lake;
mod layout;
mod location;
mod nulls;
mod physical;
mod rules;
mod snapshot;
mod types;
mod writer;

pub use definition::{Check, Generated, TableSpec};
pub use error::{Error, Result};
pub use external::Format;
pub use lake::{Lake, Written};
pub use snapshot::Snapshot;
pub use types::{storable, storable_schema};

#[cfg(test)]
mod tests;
