//! Everything that is tested across crates, in one binary.

/// Statements with model calls, and the same with arithmetic.
mod calls;
/// Drivers of several languages, and the protocol to its full extent.
mod clients;
/// How often models are asked, and whether each answer is in its row.
mod counts;
/// The examples of `docs/functions.md`.
mod examples;
/// Kills, cancels, crowds, garbage, broken models, little memory.
mod faults;
/// Starts engines and servers for the other modules.
mod harness;
/// Which crate may name what, and which way dependencies point.
mod house;
/// Models through SQL: numbers, bits, failures.
mod models;
/// The server as a process.
mod process;
/// The `.slt` files, in process and over the wire.
mod slt;
/// One session on an engine of its own.
mod sql;
/// The files under `sql/`.
mod sql_files;
/// Tables in object stores.
mod stores;
/// Large results.
mod streaming;
/// Delta tables that other writers made.
mod written_by_others;
