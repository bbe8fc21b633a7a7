//! `COPY`: rows of a table or query out to the client, and rows from the client into a table.
//!
//! Here a statement becomes what is to be exchanged: columns and format. The bytes are the server's.

mod export;
mod format;
mod import;
mod load;
pub mod parse;
mod rows;
mod send;

pub use format::{CopyFormat, CopyHeader, CopyKind};
pub use load::CopyIn;
pub(crate) use load::load;
pub use rows::CopyRows;

use std::collections::BTreeMap;
use std::path::PathBuf;

use alluvia_lake::Format;
use datafusion::execution::SessionState;

use self::parse::{Copy, Direction, OptionValue, Place};
use super::Usage;
use super::target::folded;
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "COPY",
    usage: "COPY <table> [(<column>, ...)] FROM {STDIN | '<file>'} [[WITH] (<option> [<value>], ...)] \
            | COPY {<table> [(<column>, ...)] | (<query>)} TO {STDOUT | '<file>'} [[WITH] (<option> [<value>], ...)] \
            | COPY <table> [(<column>, ...)] FROM '<file>' (FORMAT {parquet | json | arrow} [, ...]) \
            | COPY {<table> [(<column>, ...)] | (<query>)} TO '<file>' \
            (FORMAT {parquet | json | arrow} [, compression <name>] [, partition_by (<column>, ...)])",
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
    if let Some(format) = holds_types(copy) {
        return match (&copy.place, copy.direction) {
            (Place::File(path), Direction::To) => export::run(session, state, copy, format, path).await,
            (Place::File(path), Direction::From) => import::run(session, state, copy, format, path).await,
            _ => Err(Error::unsupported(format!("COPY with a client in format {}", format.name()))
                .with_hint("Name a file, or use one of the formats text, csv and binary.")),
        };
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

/// The format of files with columns and types of their own, whose bytes never go through a client.
fn holds_types(copy: &Copy) -> Option<Format> {
    let (_, value) = copy.options.iter().find(|(name, _)| name == "format")?;
    match value {
        OptionValue::Text(name) if name == "parquet" => Some(Format::Parquet),
        OptionValue::Text(name) if name == "json" => Some(Format::Json),
        OptionValue::Text(name) if name == "arrow" => Some(Format::Arrow),
        _ => None,
    }
}

/// The options beside FORMAT, as the lake takes them.
fn file_options(copy: &Copy) -> Result<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    for (name, value) in &copy.options {
        let value = match value {
            OptionValue::Missing => "true".to_owned(),
            OptionValue::Text(text) => text.clone(),
            OptionValue::Columns(columns) => columns.iter().map(folded).collect::<Vec<_>>().join(","),
            OptionValue::AllColumns => {
                return Err(Error::new(Kind::SyntaxError, format!("{name} requires a list of column names")));
            }
        };
        if options.insert(name.clone(), value).is_some() {
            return Err(Error::new(Kind::SyntaxError, "conflicting or redundant options"));
        }
    }
    options.remove("format");
    Ok(options)
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
