//! One process per data directory: an advisory lock on a file in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// Holds the lock until dropped. A process that dies, however it dies, releases it.
#[derive(Debug)]
pub(super) struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Errors: [`Kind::ConfigurationInvalid`] if another process (or another catalog in this one) holds it.
    pub(super) fn acquire(data_dir: &Path) -> Result<DataDirLock> {
        let path = data_dir.join("alluvia.lock");
        let failed = |error: std::io::Error| {
            Error::new(Kind::Io, format!("could not lock data directory \"{}\": {error}", data_dir.display()))
        };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(data_dir, &mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(DataDirLock { _file: file })
    }
}

fn held(data_dir: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    let read = file.take(32).read_to_string(&mut holder);
    let error = Error::new(
        Kind::ConfigurationInvalid,
        format!("data directory \"{}\" is in use by another process", data_dir.display()),
    )
    .with_hint("Connect to the server that runs on it, stop that server, or name another data directory.");
    match read.ok().and_then(|_| holder.trim().parse::<u32>().ok()) {
        Some(process_id) => error.with_detail(format!("The process with ID {process_id} holds it.")),
        None => error,
    }
}
