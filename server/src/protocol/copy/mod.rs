//! COPY: rows as text, CSV and PostgreSQL's binary form. What a COPY exchanges is core's to say; this is the bytes.
//!
//! Out: batches -> `encoder` -> CopyData. In: CopyData -> `lines` and `split`, or `tuples` -> `gathered` fields ->
//! `columns`, decoded a column at a time -> batches.

/// Rows into bytes.
pub mod encoder;

/// Bytes into rows.
pub mod decoder;

/// Lines off a stream of bytes.
mod lines;

/// Lines into fields.
mod split;

/// Tuples of the binary form into fields.
mod tuples;

/// Fields of rows that wait to be decoded.
mod gathered;

/// Fields of one column into an array.
mod columns;

/// JSON documents into structs and maps.
mod json;

/// Dates, timestamps and numbers as they usually look.
mod plain;

/// Where in the data an error is.
mod fault;

/// Rows to and from files.
pub mod files;

/// The messages of a COPY.
mod exchange;

/// What begins the binary form.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

#[cfg(test)]
mod tests;
