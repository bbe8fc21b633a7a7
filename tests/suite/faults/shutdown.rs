//! SIGTERM drains; what may not be listened on isn't.

use std::time::Duration;

use crate::process::{Process, code, refused, value};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_running_statement_finish() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &["--shutdown-grace", "60"]);
    let (busy, idle) = (server.connect().await, server.connect().await);
    assert_eq!(value(&idle, "SELECT 1").await, "1");
    let sql = "CREATE TABLE t AS SELECT v AS a, md5(v::text) AS b FROM generate_series(1, 1000000) AS t(v)";
    let statement = tokio::spawn(async move { busy.batch_execute(sql).await });
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!statement.is_finished(), "the statement is too quick for this test");
    server.terminate();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(server.try_connect().await.is_err(), "a draining server takes no one in");
    assert!(idle.batch_execute("SELECT 1").await.is_err());
    statement.await.unwrap().unwrap();
    assert_eq!(server.wait().code(), Some(0));
    let server = Process::start(folder.path(), &[]);
    assert_eq!(value(&server.connect().await, "SELECT count(*) FROM t").await, "1000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_beyond_its_grace_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &["--shutdown-grace", "1"]);
    let client = server.connect().await;
    let statement = tokio::spawn(async move {
        client.batch_execute("SELECT count(*) FROM generate_series(1, 1000000000000) AS t(v) WHERE v % 7 = 8").await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.terminate();
    assert_eq!(code(&statement.await.unwrap().unwrap_err()), "57P01");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn addresses_off_the_loopback_interface_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let output = refused(folder.path(), &["--listen", address]);
        assert!(!output.status.success() && output.stdout.is_empty(), "{address}");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.contains("not a loopback address"), "{address}: {words}");
    }
}
