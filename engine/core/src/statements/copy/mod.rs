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

use datafusion::execution::SessionState;

use self::parse::{Copy, Direction, Place};
use super::Usage;
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "COPY",
    usage: "COPY <table> [(<column>, ...)] FROM STDIN [[WITH] (<option> [<value>], ...)] \
            | COPY {<table> [(<column>, ...)] | (<query>)} TO STDOUT [[WITH] (<option> [<value>], ...)]",
};

/// What a COPY exchanges with its client.
#[derive(Debug)]
pub enum Copying {
    /// The rows of the execution's stream go to the client.
    Out(CopyFormat),
    /// Rows come from the client, for [`Session::copy_in`].
    In(Box<CopyIn>),
}

pub(super) async fn run(session: &Session, state: &SessionState, copy: &Copy) -> Result<Execution> {
    if copy.filtered {
        return Err(Error::unsupported("COPY with WHERE")
            .with_hint("COPY into a table of its own, and INSERT ... SELECT ... WHERE from there."));
    }
    match (&copy.place, copy.direction) {
        (Place::Client, Direction::To) => send::run(session, state, copy).await,
        (Place::Client, Direction::From) => load::run(session, state, copy).await,
        (Place::File(_), Direction::To) => {
            Err(Error::unsupported("COPY TO a file of the server").with_hint("COPY ... TO STDOUT, or psql's \\copy."))
        }
        (Place::File(_), Direction::From) => Err(Error::unsupported("COPY FROM a file of the server")
            .with_hint("COPY ... FROM STDIN, psql's \\copy, or CREATE EXTERNAL TABLE and INSERT ... SELECT.")),
        (Place::Program, _) => Err(Error::unsupported("COPY with PROGRAM")
            .with_hint("Run the program on the client, and COPY with STDIN or STDOUT.")),
    }
}
