//! COPY with a file of the server's machine: the same bytes that a client would get or send.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use alluvia_core::{CopyFormat, CopyIn, Error, Execution, Kind, Session};
use arrow::datatypes::SchemaRef;
use bytes::BytesMut;
use futures::StreamExt;

use super::decoder::CopyDecoder;
use super::encoder::CopyEncoder;
use crate::protocol::report::Report;
use crate::protocol::settings::encode_options;

/// Bytes written, and read, at once.
const PIECE_BYTES: usize = 256 << 10;

/// Writes rows into a file, which is there when they are complete and not before; gives their number.
pub async fn write(
    session: &Session,
    mut execution: Execution,
    format: CopyFormat,
    path: &Path,
) -> Result<u64, Report> {
    let options = encode_options(|name| session.setting(name))?;
    let mut encoder = CopyEncoder::new(&execution.schema, format, &options)?;
    let mut file = Unfinished::create(path)?;
    let mut buffer = BytesMut::new();
    encoder.header(&mut buffer);
    let mut rows = 0_u64;
    while let Some(batch) = execution.stream.next().await {
        let bound = encoder.bind(&batch.map_err(Error::from)?)?;
        for row in 0..bound.rows() {
            encoder.row(&bound, row, &mut buffer)?;
            if buffer.len() >= PIECE_BYTES {
                file.write(&buffer)?;
                buffer.clear();
            }
        }
        rows += bound.rows() as u64;
    }
    encoder.trailer(&mut buffer);
    file.write(&buffer)?;
    file.finish()?;
    Ok(rows)
}

/// Loads the rows of a file, in one commit or none; gives their number.
pub async fn read(session: &Session, mut copy: CopyIn, path: &Path) -> Result<u64, Report> {
    let zone = encode_options(|name| session.setting(name))?.time_zone;
    let mut decoder = CopyDecoder::new(SchemaRef::clone(&copy.columns), copy.format.clone(), &copy.table, zone);
    let mut file = File::open(path).map_err(|error| failed(&error, "open", path, "for reading"))?;
    let rows = copy.sender().ok_or_else(|| Error::internal("a COPY was run twice"))?;
    let feed = async {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = file.read(&mut piece).map_err(|error| failed(&error, "read", path, ""))?;
            match length {
                0 => decoder.end(),
                length => decoder.push(piece.get(..length).unwrap_or_default())?,
            }
            rows.hold(decoder.held_bytes())?;
            while let Some(batch) = decoder.batch()? {
                rows.send(batch).await;
            }
            if length == 0 {
                rows.end().await;
                return Ok::<(), Report>(());
            }
        }
    };
    let mut load = std::pin::pin!(session.copy_in(copy));
    tokio::select! {
        biased;
        loaded = &mut load => {
            loaded?;
            return Err(Error::internal("a COPY ended before its rows").into());
        }
        fed = feed => fed?,
    }
    Ok(load.await?)
}

/// A file beside its final place; removed unless it is finished.
struct Unfinished {
    file: File,
    place: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    fn create(path: &Path) -> Result<Self, Report> {
        let failed = |error: io::Error| failed(&error, "open", path, "for writing");
        let Some(name) = path.file_name() else { return Err(failed(io::ErrorKind::InvalidInput.into())) };
        let mut beside = name.to_owned();
        beside.push(format!(".{}.unfinished", uuid::Uuid::new_v4().simple()));
        let place = path.with_file_name(beside);
        let file = File::create_new(&place).map_err(failed)?;
        Ok(Self { file, place, path: path.to_owned() })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Report> {
        self.file.write_all(bytes).map_err(|error| failed(&error, "write to", &self.path, ""))
    }

    fn finish(self) -> Result<(), Report> {
        self.file
            .sync_all()
            .and_then(|()| std::fs::rename(&self.place, &self.path))
            .map_err(|error| failed(&error, "write to", &self.path, ""))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already once it is finished.
        let _ = std::fs::remove_file(&self.place);
    }
}

fn failed(error: &io::Error, verb: &str, path: &Path, purpose: &str) -> Report {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::UndefinedFile,
        io::ErrorKind::PermissionDenied => Kind::InsufficientPrivilege,
        io::ErrorKind::StorageFull => Kind::DiskFull,
        _ => Kind::Io,
    };
    let purpose = if purpose.is_empty() { String::new() } else { format!(" {purpose}") };
    let words = error.to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    Error::new(kind, format!("could not {verb} file \"{}\"{purpose}: {words}", path.display())).into()
}
