//! Table functions: names, arguments and documentation. `engine/core` opens what they stand for.

mod read;
mod time;

pub use read::{READ_ARROW, READ_CSV, READ_DELTA, READ_JSON, READ_PARQUET};
pub use time::{TABLE_CHANGES, TABLE_DIFF};

use crate::declaration::FunctionDoc;

/// By name.
pub const DOCS: &[&FunctionDoc] =
    &[&READ_ARROW, &READ_CSV, &READ_DELTA, &READ_JSON, &READ_PARQUET, &TABLE_CHANGES, &TABLE_DIFF];
