//! Everything that is tested across crates, in one binary.

/// Starts engines and servers for the other modules.
mod harness;
/// Which crate may name what, and which way dependencies point.
mod house;
/// The `.slt` files, in process and over the wire.
mod slt;
