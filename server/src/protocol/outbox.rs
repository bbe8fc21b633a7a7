//! What goes to the client: whole messages collected in one buffer, written with back-pressure.

use std::io;

use bytes::BytesMut;
use pgwire::messages::PgWireBackendMessage;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;

use super::report::Report;
use crate::sqlstate::SqlState;

/// Bytes after which a statement that produces rows writes them.
pub const FLUSH_BYTES: usize = 64 << 10;

/// Capacity that a buffer may keep between statements.
const IDLE_CAPACITY_BYTES_MAX: usize = 1 << 20;

pub struct Outbox {
    socket: OwnedWriteHalf,
    buffer: BytesMut,
    /// Length up to which the buffer holds whole messages.
    complete: usize,
}

impl Outbox {
    pub fn new(socket: OwnedWriteHalf) -> Self {
        Self { socket, buffer: BytesMut::with_capacity(8 << 10), complete: 0 }
    }

    /// Appends a message; it leaves at the next flush.
    pub fn send(&mut self, message: PgWireBackendMessage) -> Result<(), Report> {
        self.append(|buffer| {
            message
                .encode(buffer)
                .map_err(|error| Report::new(SqlState::INTERNAL_ERROR, format!("cannot encode a message: {error}")))
        })
    }

    /// Appends whole messages that `write` makes. What it leaves behind on failure is taken back.
    pub fn append<T, E>(&mut self, write: impl FnOnce(&mut BytesMut) -> Result<T, E>) -> Result<T, E> {
        self.take_back_incomplete();
        let written = write(&mut self.buffer);
        match &written {
            Ok(_) => self.complete = self.buffer.len(),
            Err(_) => self.take_back_incomplete(),
        }
        written
    }

    /// Drops a half-made message, such as one whose encoding panicked.
    pub fn take_back_incomplete(&mut self) {
        self.buffer.truncate(self.complete);
    }

    pub fn pending_bytes(&self) -> usize {
        self.complete
    }

    /// Writes all that is complete, waiting for the client to take it. May be dropped and begun anew at any point:
    /// bytes leave the buffer as the socket takes them.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.take_back_incomplete();
        while !self.buffer.is_empty() {
            let written = self.socket.write_buf(&mut self.buffer).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.complete = self.buffer.len();
        }
        Ok(())
    }

    /// Gives back memory that a large result made the buffer take.
    pub fn shrink(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > IDLE_CAPACITY_BYTES_MAX {
            self.buffer = BytesMut::with_capacity(8 << 10);
        }
    }

    /// Writes what is left and tells the client that no more comes.
    pub async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.socket.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;
    use pgwire::messages::response::{CommandComplete, ReadyForQuery, TransactionStatus};
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn half_made_messages_never_leave() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_, write) = listener.accept().await.unwrap().0.into_split();
        let mut outbox = Outbox::new(write);
        outbox.send(PgWireBackendMessage::CommandComplete(CommandComplete::new("SELECT 1".into()))).unwrap();
        let failed: Result<(), ()> = outbox.append(|buffer| {
            buffer.put_slice(b"D\0\0");
            Err(())
        });
        assert!(failed.is_err());
        outbox.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(TransactionStatus::Idle))).unwrap();
        outbox.close().await.unwrap();
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I");
    }
}
