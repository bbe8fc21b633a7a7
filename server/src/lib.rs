//! Alluvia's server: PostgreSQL's wire protocol in front of the engine.
//!
//! In reading order:

/// The listening socket: who may connect, how many, and how the server drains.
mod listener;
/// From bytes to statements, and from record batches to bytes.
pub mod protocol;
/// How the server ends.
pub mod shutdown;
/// Error codes.
pub mod sqlstate;

pub use listener::{ListenError, PORT, Server, ServerOptions};
