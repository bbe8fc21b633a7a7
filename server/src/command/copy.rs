//! COPY with standard input and output.

use std::io::{self, Read, Write};

use alluvia_core::{CommandTag, CopyFormat, CopyIn, Error, Execution, Session};
use alluvia_server::protocol::copy::decoder::CopyDecoder;
use alluvia_server::protocol::copy::encoder::CopyEncoder;
use alluvia_server::protocol::settings::encode_options;
use arrow::datatypes::SchemaRef;
use bytes::BytesMut;
use futures::StreamExt;

use super::CommandError;
use super::output::{Format, OutputError};

/// Bytes written, and read, at once.
const PIECE_BYTES: usize = 64 << 10;

/// Writes the rows to standard output, and nothing else.
pub async fn copy_out(session: &Session, mut execution: Execution, format: CopyFormat) -> Result<(), OutputError> {
    let options = encode_options(|name| session.setting(name))?;
    let mut encoder = CopyEncoder::new(&execution.schema, format, &options)?;
    let mut buffer = BytesMut::new();
    encoder.header(&mut buffer);
    while let Some(batch) = execution.stream.next().await {
        let batch = batch.map_err(|error| {
            session.fail();
            Error::from(error)
        })?;
        let bound = encoder.bind(&batch)?;
        for row in 0..bound.rows() {
            encoder.row(&bound, row, &mut buffer)?;
            if buffer.len() >= PIECE_BYTES {
                io::stdout().lock().write_all(&buffer)?;
                buffer.clear();
            }
        }
    }
    encoder.trailer(&mut buffer);
    let mut stdout = io::stdout().lock();
    stdout.write_all(&buffer)?;
    Ok(stdout.flush()?)
}

/// Reads rows from standard input to its end.
pub async fn copy_in(session: &Session, mut copy: CopyIn, tag: CommandTag, format: Format) -> Result<(), OutputError> {
    let zone = encode_options(|name| session.setting(name))?.time_zone;
    let mut decoder = CopyDecoder::new(SchemaRef::clone(&copy.columns), copy.format.clone(), &copy.table, zone);
    let rows = copy.sender().ok_or_else(|| Error::internal("a COPY was run twice"))?;
    let feed = async {
        loop {
            let piece = tokio::task::spawn_blocking(read_piece).await.map_err(io::Error::other)??;
            let ended = piece.is_empty();
            match ended {
                true => decoder.end(),
                false => decoder.push(&piece).map_err(CommandError::from)?,
            }
            rows.hold(decoder.held_bytes())?;
            while let Some(batch) = decoder.batch().map_err(CommandError::from)? {
                rows.send(batch).await;
            }
            if ended {
                rows.end().await;
                return Ok::<(), OutputError>(());
            }
        }
    };
    let loaded = {
        let mut load = std::pin::pin!(session.copy_in(copy));
        tokio::select! {
            biased;
            loaded = &mut load => loaded?,
            fed = feed => {
                fed.inspect_err(|_| session.fail())?;
                load.await?
            }
        }
    };
    if format == Format::Table {
        writeln!(io::stdout().lock(), "{}", tag.render(loaded))?;
    }
    Ok(())
}

/// What standard input has next; nothing at its end.
fn read_piece() -> io::Result<Vec<u8>> {
    let mut piece = vec![0; PIECE_BYTES];
    let length = io::stdin().lock().read(&mut piece)?;
    piece.truncate(length);
    Ok(piece)
}
