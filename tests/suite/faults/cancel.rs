//! A statement that is no longer wanted stops working: its client hears of it, and its threads come to rest.
//!
//! Rest is read from the processor time of the server's process, so these parts are silent where there is no /proc.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::{Client, NoTls};

use crate::process::{Process, code, value};

/// What a busy machine may add to the 200 ms that a statement has to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Longest that a thread may have had in `QUIET` and still count as resting, in ticks of 10 ms.
const RESTING_TICKS: u64 = 1;
const QUIET: Duration = Duration::from_millis(300);

const INFERENCE: &str = "SELECT sum(embed('a sentence of a dozen words or so, whose number is ' || v)[1]) \
                         FROM generate_series(1, 100000) AS t(v)";
const SCAN: &str = "SELECT sum(x.a * y.a) FROM numbers AS x JOIN numbers AS y ON x.a % 3 = y.a % 3";
const ENDLESS_ROWS: &str = "SELECT v FROM generate_series(1, 1000000000000) AS t(v)";

/// Statements that run for longer than any test waits, by what they are busy with.
fn long_statements() -> Vec<(&'static str, String)> {
    vec![("inference", INFERENCE.into()), ("a scan and a join", SCAN.into()), ("planning", much_planning())]
}

/// Takes the planner tens of seconds.
fn much_planning() -> String {
    let tables: Vec<String> = (0..400).map(|number| format!("SELECT {number} AS a, a AS b FROM numbers")).collect();
    format!("SELECT count(*) FROM ({}) AS t", tables.join(" UNION "))
}

async fn server() -> (tempfile::TempDir, Process, Client) {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client
        .batch_execute("CREATE TABLE numbers AS SELECT v AS a FROM generate_series(1, 200000) AS t(v)")
        .await
        .unwrap();
    // The model is loaded before anything is measured.
    client.batch_execute("SELECT embed('warm')").await.unwrap();
    (folder, server, client)
}

/// How long after `since` the server's threads still worked; `None` where that can't be known.
async fn worked_until(server: &Process, since: Instant) -> Option<Duration> {
    let mut ticks = server.cpu_ticks()?;
    let mut rest_since = Instant::now();
    while rest_since.elapsed() < QUIET {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = server.cpu_ticks()?;
        if now > ticks + RESTING_TICKS {
            (ticks, rest_since) = (now, Instant::now());
        }
        assert!(since.elapsed() < Duration::from_secs(20), "the server still works");
    }
    Some(rest_since.saturating_duration_since(since))
}

async fn assert_rest(server: &Process, since: Instant, what: &str) {
    let Some(worked) = worked_until(server, since).await else { return };
    eprintln!("{what}: at rest after {worked:?}");
    // Planning is computation without a pause, and ends with the rule it is at.
    let patience = if what.starts_with("planning") { 5 * PATIENCE } else { PATIENCE };
    assert!(worked < patience, "{what} went on for {worked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_ends_whatever_runs() {
    let (_folder, server, client) = server().await;
    for (what, sql) in long_statements() {
        let token = client.cancel_token();
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            token.cancel_query(NoTls).await.unwrap();
            Instant::now()
        };
        let (ended, asked_at) = tokio::join!(client.batch_execute(&sql), cancel);
        let told = asked_at.elapsed();
        assert_eq!(code(&ended.unwrap_err()), "57014", "{what}");
        eprintln!("{what}: told after {told:?}");
        assert!(told < PATIENCE, "{what}: told after {told:?}");
        assert_rest(&server, asked_at, what).await;
        assert_eq!(value(&client, "SELECT 1").await, "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_statement_along() {
    let (_folder, server, _client) = server().await;
    let endless = [("encoding", ENDLESS_ROWS.to_string())];
    for (what, sql) in long_statements().into_iter().chain(endless) {
        let mut socket = raw(server.port).await;
        send(&mut socket, &sql).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        drop(socket);
        assert_rest(&server, Instant::now(), what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout_ends_whatever_runs() {
    let (_folder, server, client) = server().await;
    client.batch_execute("SET statement_timeout = '700ms'").await.unwrap();
    let endless = [("encoding", ENDLESS_ROWS.to_string())];
    for (what, sql) in long_statements().into_iter().chain(endless) {
        let begun_at = Instant::now();
        let ended = client.batch_execute(&sql).await;
        let due_at = begun_at + Duration::from_millis(700);
        let told = due_at.elapsed();
        assert_eq!(code(&ended.unwrap_err()), "57014", "{what}");
        assert!(told < PATIENCE, "{what}: told after {told:?}");
        assert_rest(&server, due_at, what).await;
    }
    client.batch_execute("SET statement_timeout = 0").await.unwrap();
    assert_eq!(value(&client, "SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout_ends_a_statement_whose_client_does_not_read() {
    let (_folder, server, _client) = server().await;
    let mut socket = raw(server.port).await;
    send(&mut socket, "SET statement_timeout = '500ms'").await;
    until_ready(&mut socket).await;
    send(&mut socket, ENDLESS_ROWS).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // What was on its way comes, then the error, then the next statement's turn.
    let words = until_ready(&mut socket).await;
    let words = String::from_utf8_lossy(&words);
    assert!(words.contains("C57014"), "{words}");
    send(&mut socket, "SELECT 'alive'").await;
    assert!(String::from_utf8_lossy(&until_ready(&mut socket).await).contains("alive"));
}

/// A connection that does only what it is told to.
async fn raw(port: u16) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let body = b"\0\x03\0\0user\0tester\0\0";
    socket.write_all(&[&(body.len() as u32 + 4).to_be_bytes()[..], body].concat()).await.unwrap();
    until_ready(&mut socket).await;
    socket
}

async fn send(socket: &mut TcpStream, sql: &str) {
    let length = (sql.len() as u32 + 5).to_be_bytes();
    socket.write_all(&[b"Q", &length[..], sql.as_bytes(), b"\0"].concat()).await.unwrap();
}

/// Reads up to ReadyForQuery, and gives the last message but data rows.
async fn until_ready(socket: &mut TcpStream) -> Vec<u8> {
    let mut socket = tokio::io::BufReader::with_capacity(1 << 20, socket);
    let mut kept = vec![];
    loop {
        let kind = socket.read_u8().await.unwrap();
        let length = socket.read_u32().await.unwrap() as usize - 4;
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.unwrap();
        match kind {
            b'Z' => return kept,
            b'D' if kept.len() > 1 << 10 => {}
            _ => kept.extend(body),
        }
    }
}
