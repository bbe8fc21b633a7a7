//! A proxy that takes one request per connection, and does to it what a test asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Pass,
    /// The connection breaks before the server has seen it.
    Reset,
    /// The server heeds it, and the connection breaks before the answer.
    ResetAfter,
    /// The server is busy.
    SlowDown,
    /// The server heeds it, and says that it failed.
    ErrorAfter,
    /// The server heeds it, and the answer never comes.
    Silence,
    /// The answer comes in small pieces.
    Dribble,
}

/// What the test knows of a request.
#[derive(Clone, Debug)]
pub struct Request {
    pub target: String,
    /// Whether it must not overwrite.
    pub create: bool,
    /// How many came before it.
    pub number: u64,
}

type Judge = dyn Fn(&Request) -> Fate + Send + Sync;

pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    upstream: u16,
    judge: parking::Judged,
    requests: AtomicU64,
    /// Puts that were refused because the object was there.
    refused: AtomicU64,
    /// Requests that didn't pass.
    harmed: AtomicU64,
    one_by_one: Mutex<()>,
}

/// The judge, which a test may replace while requests come.
mod parking {
    use std::sync::{Arc, RwLock};

    pub struct Judged(RwLock<Arc<super::Judge>>);

    impl Judged {
        pub fn new(judge: Arc<super::Judge>) -> Self {
            Self(RwLock::new(judge))
        }

        pub fn now(&self) -> Arc<super::Judge> {
            Arc::clone(&self.0.read().unwrap())
        }

        pub fn set(&self, judge: Arc<super::Judge>) {
            *self.0.write().unwrap() = judge;
        }
    }
}

impl Proxy {
    pub async fn start(upstream: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream,
            judge: parking::Judged::new(Arc::new(|_: &Request| Fate::Pass)),
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            harmed: AtomicU64::new(0),
            one_by_one: Mutex::new(()),
        });
        let served = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&served);
                tokio::spawn(async move {
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        Proxy { port, shared, task }
    }

    /// From now on requests are judged so.
    pub fn judge(&self, judge: impl Fn(&Request) -> Fate + Send + Sync + 'static) {
        self.shared.judge.set(Arc::new(judge));
    }

    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::SeqCst)
    }

    pub fn harmed(&self) -> u64 {
        self.shared.harmed.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let Some((head, body)) = read_request(&mut client).await? else { return Ok(()) };
    let mut words = head.split(' ');
    let target = words.nth(1).unwrap_or_default();
    let create = head.to_lowercase().contains("\r\nif-none-match: *");
    let number = shared.requests.fetch_add(1, Ordering::SeqCst);
    let request = Request { target: target.to_owned(), create, number };
    let fate = shared.judge.now()(&request);
    if fate != Fate::Pass {
        shared.harmed.fetch_add(1, Ordering::SeqCst);
    }
    match fate {
        Fate::Reset => return reset(client),
        Fate::SlowDown => return client.write_all(&failure("503 Slow Down", "SlowDown")).await,
        _ => {}
    }
    let answer = {
        let _alone = if create { Some(shared.one_by_one.lock().await) } else { None };
        ask(shared.upstream, &head, &body).await?
    };
    if create && answer.starts_with(b"HTTP/1.1 412") {
        shared.refused.fetch_add(1, Ordering::SeqCst);
    }
    match fate {
        Fate::ResetAfter => reset(client),
        Fate::ErrorAfter => client.write_all(&failure("500 Internal Server Error", "InternalError")).await,
        Fate::Silence => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            Ok(())
        }
        Fate::Dribble => {
            for piece in answer.chunks(answer.len() / 8 + 1) {
                client.write_all(piece).await?;
                client.flush().await?;
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            Ok(())
        }
        _ => client.write_all(&answer).await,
    }
}

/// Head and body; `None` when the client has hung up without a request.
async fn read_request(client: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = read.split_off(end);
    while body.len() < length.unwrap_or(0) {
        if client.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((head, body)))
}

/// The server's whole answer.
async fn ask(upstream: u16, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    let lines = head.trim_end().split("\r\n").filter(|line| !line.to_lowercase().starts_with("connection:"));
    let head = format!("{}\r\nConnection: close\r\n\r\n", lines.collect::<Vec<_>>().join("\r\n"));
    server.write_all(head.as_bytes()).await?;
    server.write_all(body).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn failure(status: &str, code: &str) -> Vec<u8> {
    let body = format!("<Error><Code>{code}</Code><Message>Please try again.</Message></Error>");
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

/// Ends a connection with RST: unread or lingering data is thrown away.
fn reset(client: TcpStream) -> std::io::Result<()> {
    client.set_zero_linger()?;
    drop(client);
    Ok(())
}
