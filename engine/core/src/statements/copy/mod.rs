//! `COPY`: rows of a table or query out to the client, and rows from the client into a table.
//!
//! Here a statement becomes what is to be exchanged: columns and format. The bytes are the server's.

mod format;
mod load;
pub mod parse;
mod rows;
mod send;

pub use format::{CopyFormat, CopyHeader, CopyKind};
pub use load::CopyIn;
pub(crate) use load::load;
pub use rows::CopyRows;

use std::path::PathBuf;

use datafusion::execution::SessionState;

use self::parse::{Copy, Direction, Place};
use super::Usage;
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "COPY",
    usage: "COPY <table> [(<column>, ...)] FROM {STDIN | '<file>'} [[WITH] (<option> [<value>], ...)] \
            | COPY {<table> [(<column>, ...)] | (<query>)} TO {STDOUT | '<file>'} [[WITH] (<option> [<value>], ...)]",
};

/// What a COPY exchanges with its client.
#[derive(Debug)]
pub enum Copying {
    /// The rows of the execution's stream go to the client.
    Out(CopyFormat),
    /// Rows come from the client, for [`Session::copy_in`].
    In(Box<CopyIn>),
    /// The same with a file of this machine.
    ToFile(CopyFormat, PathBuf),
    FromFile(Box<CopyIn>, PathBuf),
}

pub(super) async fn run(session: &Session, state: &SessionState, copy: &Copy) -> Result<Execution> {
    if copy.filtered {
        return Err(Error::unsupported("COPY with WHERE")
            .with_hint("COPY into a table of its own, and INSERT ... SELECT ... WHERE from there."));
    }
    match (&copy.place, copy.direction) {
        (Place::Client, Direction::To) => send::run(session, state, copy).await,
        (Place::Client, Direction::From) => load::run(session, state, copy).await,
        (Place::File(path), Direction::To) => {
            let path = local(path)?;
            let execution = send::run(session, state, copy).await?;
            Ok(with_file(execution, path))
        }
        (Place::File(path), Direction::From) => {
            let path = local(path)?;
            let execution = load::run(session, state, copy).await?;
            Ok(with_file(execution, path))
        }
        (Place::Program, _) => Err(Error::unsupported("COPY with PROGRAM")
            .with_hint("Run the program on the client, and COPY with STDIN or STDOUT.")),
    }
}

/// A path of this machine, relative to the working directory, as LOCATION takes it.
fn local(path: &str) -> Result<PathBuf> {
    let path = path.strip_prefix("file://").unwrap_or(path);
    if path.contains("://") {
        return Err(Error::unsupported("COPY with a file that isn't on this machine")
            .with_hint("A table with LOCATION, or CREATE EXTERNAL TABLE, reaches object stores."));
    }
    if path.is_empty() {
        return Err(Error::new(Kind::InvalidParameterValue, "a file's name must not be empty"));
    }
    Ok(PathBuf::from(path))
}

fn with_file(mut execution: Execution, path: PathBuf) -> Execution {
    execution.copy = match execution.copy {
        Some(Copying::Out(format)) => Some(Copying::ToFile(format, path)),
        Some(Copying::In(copy)) => Some(Copying::FromFile(copy, path)),
        other => other,
    };
    execution
}
