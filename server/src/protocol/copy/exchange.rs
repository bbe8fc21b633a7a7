//! The messages of a COPY: CopyInResponse or CopyOutResponse, then CopyData until CopyDone.

use std::pin::pin;
use std::sync::Arc;

use alluvia_core::{CopyFormat, CopyIn, CopyKind, CopyRows, Copying, Error, Execution};
use arrow::datatypes::SchemaRef;
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use tokio::time::Instant;

use super::decoder::CopyDecoder;
use super::encoder::CopyEncoder;
use super::files;
use crate::protocol::encode::{Format, patch_length};
use crate::protocol::error::ValueError;
use crate::protocol::outbox::FLUSH_BYTES;
use crate::protocol::portal::flush;
use crate::protocol::queue::Arrival;
use crate::protocol::report::{Failure, Report};
use crate::protocol::worker::Worker;
use crate::sqlstate::SqlState;

impl Worker {
    /// Exchanges the rows of a COPY with the client, and gives their number.
    pub(in crate::protocol) async fn copy(
        &mut self,
        execution: Execution,
        copying: Copying,
        deadline: Option<Instant>,
    ) -> Result<u64, Failure> {
        match copying {
            Copying::Out(format) => self.copy_out(execution, format, deadline).await,
            Copying::In(copy) => self.copy_in(*copy).await,
            Copying::ToFile(format, path) => Ok(files::write(&self.session, execution, format, &path).await?),
            Copying::FromFile(copy, path) => Ok(files::read(&self.session, *copy, &path).await?),
        }
    }

    async fn copy_out(
        &mut self,
        mut execution: Execution,
        format: CopyFormat,
        deadline: Option<Instant>,
    ) -> Result<u64, Failure> {
        let (code, columns) = response(&format, execution.schema.fields().len());
        let mut encoder = CopyEncoder::new(&execution.schema, format, &self.encode_options()?)?;
        let response = CopyOutResponse::new(code as i8, columns.len() as i16, columns);
        self.outbox.send(PgWireBackendMessage::CopyOutResponse(response))?;
        self.outbox.append(|buffer| data(buffer, |out| Ok(encoder.header(out))))?;
        let mut rows = 0_u64;
        while let Some(batch) = execution.stream.next().await {
            let batch = batch.map_err(alluvia_core::Error::from)?;
            let bound = encoder.bind(&batch)?;
            for row in 0..bound.rows() {
                self.outbox.append(|buffer| data(buffer, |out| encoder.row(&bound, row, out).map(|()| true)))?;
                if self.outbox.pending_bytes() >= FLUSH_BYTES {
                    flush(&mut self.outbox, &self.cancelled, deadline).await?;
                }
            }
            rows += bound.rows() as u64;
        }
        self.outbox.append(|buffer| data(buffer, |out| Ok(encoder.trailer(out))))?;
        self.outbox.send(PgWireBackendMessage::CopyDone(CopyDone::new()))?;
        Ok(rows)
    }

    async fn copy_in(&mut self, mut copy: CopyIn) -> Result<u64, Failure> {
        let (code, columns) = response(&copy.format, copy.columns.fields().len());
        let zone = self.encode_options()?.time_zone;
        let decoder = CopyDecoder::new(SchemaRef::clone(&copy.columns), copy.format.clone(), &copy.table, zone);
        let response = CopyInResponse::new(code as i8, columns.len() as i16, columns);
        self.outbox.send(PgWireBackendMessage::CopyInResponse(response))?;
        // No deadline here: the client waits for these bytes, and the copy has its own.
        flush(&mut self.outbox, &self.cancelled, None).await?;
        let session = Arc::clone(&self.session);
        let rows = copy.sender().ok_or_else(|| Error::internal("a COPY was run twice"))?;
        let mut load = pin!(session.copy_in(copy));
        {
            let mut feed = pin!(self.feed(decoder, &rows));
            tokio::select! {
                biased;
                // First what has arrived: drivers send a Sync ahead, which has to be swallowed here.
                fed = &mut feed => fed?,
                // Nobody has said that the rows are complete: whatever this is, it is a failure.
                loaded = &mut load => {
                    loaded?;
                    return Err(Error::internal("a COPY ended before its rows").into());
                }
            }
        }
        Ok(load.await?)
    }

    /// Takes the client's messages until it says that it is done. Dropping the future loses no message.
    async fn feed(&mut self, mut decoder: CopyDecoder, rows: &CopyRows) -> Result<(), Failure> {
        loop {
            let frame = match self.frames.receive().await {
                Some(Arrival::Frame(frame)) => frame,
                Some(Arrival::Broken(report)) => return Err(report.into()),
                None => return Err(Failure::Disconnected(std::io::ErrorKind::UnexpectedEof.into())),
            };
            match frame.kind {
                b'd' => decoder.push(&frame.body)?,
                b'c' => {
                    decoder.end();
                    pass_on(&mut decoder, rows).await?;
                    rows.end().await;
                    return Ok(());
                }
                b'f' => return Err(failed(&frame.body).into()),
                // Sent by drivers that don't look whether a COPY has begun.
                b'H' | b'S' => continue,
                kind => {
                    let message = format!("unexpected message type 0x{kind:02X} during COPY from stdin");
                    return Err(Report::protocol_violation(message).into());
                }
            }
            pass_on(&mut decoder, rows).await?;
        }
    }
}

async fn pass_on(decoder: &mut CopyDecoder, rows: &CopyRows) -> Result<(), Report> {
    rows.hold(decoder.held_bytes())?;
    while let Some(batch) = decoder.batch()? {
        rows.send(batch).await;
    }
    Ok(())
}

/// Format codes: of the whole, and of each column.
fn response(format: &CopyFormat, columns: usize) -> (i16, Vec<i16>) {
    let code = if format.kind == CopyKind::Binary { Format::Binary } else { Format::Text }.code();
    (code, vec![code; columns])
}

/// CopyData around what `write` appends, if it says that it did.
fn data(
    buffer: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<bool, ValueError>,
) -> Result<(), ValueError> {
    let start = buffer.len();
    buffer.put_slice(b"d\0\0\0\0");
    if write(buffer)? {
        patch_length(buffer, start + 1, start + 1)?;
    } else {
        buffer.truncate(start);
    }
    Ok(())
}

fn failed(body: &Bytes) -> Report {
    let words = body.split(|byte| *byte == 0).next().unwrap_or_default();
    let message = format!("COPY from stdin failed: {}", String::from_utf8_lossy(words));
    Report::new(SqlState::QUERY_CANCELED, message)
}
