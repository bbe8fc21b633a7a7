//! What may go wrong around a server: power cuts, clients that leave, crowds, garbage, broken models, little memory.

/// Cancel requests, closed connections and `statement_timeout` end inference, planning, scans and encoding.
mod cancel;
/// Hundreds of connections, and bytes that aren't the protocol.
mod crowds;
/// `kill -9` at any moment.
mod durability;
/// `--memory-limit`.
mod memory;
/// Broken model files, and a runtime that isn't there.
mod models;
/// Statements deeper than any stack.
mod nesting;
/// SIGTERM.
mod shutdown;
