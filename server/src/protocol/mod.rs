//! PostgreSQL's protocol, version 3: from bytes to statements, and from record batches to bytes.
//!
//! In the order in which a connection meets them:

/// What a client says first: encryption, cancel, start-up packet.
pub mod startup;

/// Cancel requests and whom they reach.
pub(crate) mod cancel;

/// A connection's two tasks.
pub(crate) mod connection;

/// Bytes into frames.
pub mod frame;

/// Frames between the two tasks.
mod queue;

/// Frames into messages.
pub mod frontend;

/// Messages one after the other, errors and ReadyForQuery.
mod worker;

/// Texts of statements.
mod simple;

/// Parse, Bind, Describe, Execute.
mod extended;

/// Prepared statements, portals, and rows on their way out.
mod portal;

/// COPY: rows as text, CSV and PostgreSQL's binary form, in both directions.
pub mod copy;

/// RowDescription and format codes.
mod describe;

/// Bytes on their way to the client.
mod outbox;

/// Errors and notices as messages.
pub mod report;

/// PostgreSQL types of Arrow types, and back.
pub mod types;

/// Arrow values to PostgreSQL's text and binary forms.
pub mod encode;

/// Settings that decide how values are written.
pub mod settings;

/// DataRow messages back into text, for printing.
pub mod cells;

/// Parameters to values.
pub mod decode;

/// Days, months, and how PostgreSQL writes them.
mod calendar;

/// Errors of values.
pub mod error;

/// Offsets of time zones.
mod time_zone;
