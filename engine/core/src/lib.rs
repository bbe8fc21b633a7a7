//! Alluvia's engine: SQL text in, a schema and a stream of record batches out.
//!
//! In reading order:

/// The process-wide state: catalog, models, lake, memory, runtime.
pub mod engine;
/// One connection's state, and the whole path of a statement: `parse` -> `prepare` -> `execute`.
pub mod session;
/// SQL text to statements: PostgreSQL's grammar and what we add to it.
pub mod parser;
/// The state that plans a statement: functions, rules, catalogs, settings.
pub mod planning;
/// Functions that stand for a table: `read_csv(...)`, `table_changes(...)`.
pub mod table_functions;
/// Our own statements, one file each, and the list of them.
pub mod statements;
/// Model calls in plans: lifted out of expressions, run as an operator.
pub mod inference;
/// Rows that a statement reads more than once.
mod kept;
/// What a running statement hands to its client: schema, stream, command tag, cancellation.
pub mod execution;
/// Statements under way, and the removal of files that they may still read.
mod reading;
/// Tables that are compacted without being asked.
mod upkeep;
/// Settings of a session (`SET`, `SHOW`, `RESET`).
pub mod settings;
/// `BEGIN`, `COMMIT`, `ROLLBACK`, and the aborted state.
pub mod transaction;
/// Metadata that changes atomically: schemas, tables, models.
pub mod catalog;
/// Model files by content, and models ready to run.
pub mod models;
/// Credentials of object stores, sealed in the catalog.
mod secrets;
/// The `system` schema: metadata and measurements as tables.
pub mod system;
/// Errors as a client sees them.
pub mod error;

pub use engine::{Engine, EngineConfig};
pub use error::{Error, Kind, Result};
pub use execution::{CommandTag, Execution};
pub use parser::Statement;
pub use session::{Prepared, Session, TransactionStatus};
pub use statements::copy::{CopyFormat, CopyHeader, CopyIn, CopyKind, CopyRows, Copying};
