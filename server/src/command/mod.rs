//! What the `alluvia` command does: its subcommands, one file each, and what they share.

mod config;
mod copy;
mod failure;
mod output;
mod serve;
mod size;
mod sql;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

pub use failure::CommandError;

/// Stack of a thread that runs statements: deep expressions recurse in parser and planner.
const STACK_BYTES: usize = 64 << 20;

/// Least number of threads that run statements: one busy with a long computation must not keep others waiting.
const STATEMENT_THREADS_MIN: usize = 4;

/// SQL over Delta tables, with models inside queries, for any PostgreSQL client.
#[derive(Debug, Parser)]
#[command(name = "alluvia", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve PostgreSQL clients
    Serve(serve::ServeArguments),
    /// Run SQL without a server
    Sql(sql::SqlArguments),
}

/// Runs the command, and says on standard error why it failed.
pub fn run(arguments: Arguments) -> ExitCode {
    start_logging();
    let done = match arguments.command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Sql(arguments) => sql::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            error.exit_code()
        }
    }
}

/// To standard error; `RUST_LOG` says how much. Two writers of one table are no fault, though the log's library says so:
/// the statement tries again, or the client is told. ONNX Runtime writes a line for every row on which a model fails; the
/// statement has those errors, and a log would grow by what clients send.
fn start_logging() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,ort=off,deltalake_core::kernel::transaction=off"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only when logging has started already, which is as good.
    let _ = subscriber.try_init();
}

/// The runtime on which statements run.
fn statement_runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.max(STATEMENT_THREADS_MIN))
        .thread_stack_size(STACK_BYTES)
        .thread_name("statement")
        .enable_all()
        .build()
        .map_err(|error| CommandError::failed(format!("could not start threads: {error}")))
}
