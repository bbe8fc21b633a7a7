//! A server in this process, and a client that speaks the protocol message by message.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(dead_code)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alluvia_core::{Engine, EngineConfig};
use alluvia_server::{Server, ServerOptions};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

/// Runs a test on threads with the stack that the server's own have.
pub fn run<T>(test: impl Future<Output = T> + Send + 'static) -> T
where
    T: Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .thread_stack_size(16 << 20)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::spawn(test).await }).unwrap()
}

pub struct TestServer {
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
    _directory: TempDir,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(adjust: impl FnOnce(&mut ServerOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine: Arc<Engine> = Engine::open(EngineConfig::new(directory.path())).await.unwrap();
        let mut options = ServerOptions::from(SocketAddr::from(([127, 0, 0, 1], 0)));
        adjust(&mut options);
        let server = Server::bind(engine, options).await.unwrap();
        let address = server.local_addr();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(server.run(shutdown.clone()));
        Self { address, shutdown, task, _directory: directory }
    }

    pub async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.address.port()).user("tester").dbname("alluvia");
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(client)
    }

    pub async fn connect(&self) -> Client {
        self.try_connect().await.unwrap()
    }

    pub async fn raw(&self) -> Raw {
        Raw::connect(self.address).await
    }
}

/// A connection whose messages the test writes itself.
pub struct Raw {
    pub socket: TcpStream,
    /// Process id and secret, as a cancel request repeats them.
    pub key: Vec<u8>,
}

/// Type byte and body.
pub type Message = (u8, Vec<u8>);

impl Raw {
    /// Connects and starts up, to the first ReadyForQuery.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::start(TcpStream::connect(address).await.unwrap(), 196_608, &[("user", "tester")]).await.0
    }

    /// Starts up on a socket; gives the greeting too.
    pub async fn start(socket: TcpStream, version: i32, parameters: &[(&str, &str)]) -> (Self, Vec<Message>) {
        let mut raw = Self { socket, key: vec![] };
        raw.socket.write_all(&start_up(version, parameters)).await.unwrap();
        let messages = raw.until_ready().await;
        raw.key = messages.iter().find(|(kind, _)| *kind == b'K').unwrap().1.clone();
        (raw, messages)
    }

    /// Sends a cancel request on a connection of its own.
    pub async fn cancel(address: SocketAddr, key: &[u8]) {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let length = (key.len() as i32 + 8).to_be_bytes();
        socket.write_all(&[&length, &80_877_102_i32.to_be_bytes(), key].concat()).await.unwrap();
        // The server closes once it has done what was asked.
        let _ = socket.read(&mut [0]).await;
    }

    pub async fn send(&mut self, messages: &[(u8, &[u8])]) {
        let mut bytes = vec![];
        for (kind, body) in messages {
            bytes.push(*kind);
            bytes.extend((body.len() as u32 + 4).to_be_bytes());
            bytes.extend(*body);
        }
        self.socket.write_all(&bytes).await.unwrap();
    }

    /// The next message; `None` when the server has closed the connection.
    pub async fn next(&mut self) -> Option<Message> {
        let read = async {
            let kind = self.socket.read_u8().await.ok()?;
            let length = self.socket.read_u32().await.ok()?;
            let mut body = vec![0; length as usize - 4];
            self.socket.read_exact(&mut body).await.ok()?;
            Some((kind, body))
        };
        tokio::time::timeout(Duration::from_secs(30), read).await.expect("no answer")
    }

    pub async fn until_ready(&mut self) -> Vec<Message> {
        let mut messages = vec![];
        loop {
            let message = self.next().await.expect("connection closed");
            let ready = message.0 == b'Z';
            messages.push(message);
            if ready {
                return messages;
            }
        }
    }

    /// Types of the messages up to ReadyForQuery, as a text such as `TDCZ`.
    pub async fn kinds(&mut self) -> String {
        self.until_ready().await.iter().map(|(kind, _)| *kind as char).collect()
    }
}

pub fn start_up(version: i32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(name.as_bytes());
        body.push(0);
        body.extend(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    [(body.len() as u32 + 4).to_be_bytes().to_vec(), body].concat()
}

/// A field of an ErrorResponse, such as `C` for its code.
pub fn field(message: &Message, code: u8) -> Option<String> {
    assert_eq!(message.0, b'E', "not an error: {}", String::from_utf8_lossy(&message.1));
    message.1.split(|byte| *byte == 0).find_map(|field| match field.split_first() {
        Some((found, text)) if *found == code => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    })
}

pub fn sqlstate(error: &tokio_postgres::Error) -> &str {
    error.code().unwrap_or_else(|| panic!("no SQLSTATE: {error}")).code()
}
