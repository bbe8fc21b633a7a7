//! Writers on one table in a bucket, from two servers and from one that is killed.

use std::time::Duration;

use super::COUNT;
use super::proxy::Proxy;
use super::s3::{S3, secret};
use crate::process::{Process, code, value};

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_write_one_table_and_lose_no_commit() {
    const CLIENTS: i64 = 3;
    const STATEMENTS: i64 = 8;
    let s3 = S3::start().await;
    let proxy = Proxy::start(s3.port).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let servers: Vec<Process> = folders.iter().map(|folder| Process::start(folder.path(), &[])).collect();
    let first = servers[0].connect().await;
    first.batch_execute(&secret(proxy.port, "")).await.unwrap();
    first
        .batch_execute(
            "CREATE TABLE t (a BIGINT) LOCATION 's3://lake/t'; CREATE TABLE n LOCATION 's3://lake/n' AS SELECT 0 AS n",
        )
        .await
        .unwrap();
    // The other server has the tables in its own catalog, at the same places.
    let second = servers[1].connect().await;
    second.batch_execute(&secret(proxy.port, "")).await.unwrap();
    for table in ["t", "n"] {
        let sql = format!("CREATE TABLE {table} () LOCATION 's3://lake/{table}'");
        second.batch_execute(&sql).await.unwrap();
    }
    assert_eq!(value(&second, "SELECT count(*) FROM t").await, "0");
    let mut tasks = vec![];
    for (place, server) in servers.iter().enumerate() {
        for number in 0..CLIENTS {
            let client = server.connect().await;
            let base = (place as i64 * CLIENTS + number) * STATEMENTS;
            tasks.push(tokio::spawn(async move {
                let mut counted = 0;
                for value in base..base + STATEMENTS {
                    client.batch_execute(&format!("INSERT INTO t VALUES ({value})")).await.unwrap();
                    match client.batch_execute(COUNT).await {
                        Ok(()) => counted += 1,
                        Err(error) => assert_eq!(code(&error), "40001", "{error:?}"),
                    }
                }
                counted
            }));
        }
    }
    let mut counted = 0;
    let inserted = tasks.len() as i64 * STATEMENTS;
    for task in tasks {
        counted += task.await.unwrap();
    }
    let sums = "SELECT count(*) || ' ' || count(DISTINCT a) FROM t";
    assert_eq!(value(&first, sums).await, format!("{inserted} {inserted}"));
    assert_eq!(value(&second, sums).await, format!("{inserted} {inserted}"));
    assert_eq!(value(&first, "SELECT n FROM n").await, counted.to_string());
    assert_eq!(s3.entries("t").await as i64, 1 + inserted);
    assert_eq!(s3.entries("n").await as i64, 1 + counted);
    assert!(proxy.refused() > 0, "nobody came second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_writer_leaves_the_old_version_or_the_new_one() {
    const ROWS: i64 = 60_000;
    let (s3, folder) = (S3::start().await, tempfile::tempdir().unwrap());
    let mut server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute(&secret(s3.port, "")).await.unwrap();
    client.batch_execute("CREATE TABLE t (a BIGINT, b TEXT) LOCATION 's3://lake/t'").await.unwrap();
    let insert = format!("INSERT INTO t SELECT v, 'row number ' || v FROM generate_series(1, {ROWS}) AS g(v)");
    let begun_at = std::time::Instant::now();
    client.batch_execute(&insert).await.unwrap();
    let whole = begun_at.elapsed();
    drop(client);
    let mut count = ROWS;
    for part in [0.2, 0.5, 0.7, 0.8, 0.9, 1.0, 1.5] {
        let client = server.connect().await;
        let sql = insert.clone();
        let statement = tokio::spawn(async move { client.batch_execute(&sql).await.is_ok() });
        tokio::time::sleep(whole.mul_f64(part).max(Duration::from_millis(1))).await;
        server.kill();
        let heard = statement.await.unwrap();
        server = Process::start(folder.path(), &[]);
        let after = server.connect().await;
        let found: i64 = value(&after, "SELECT count(*) FROM t").await.parse().unwrap();
        assert!(found == count + ROWS || (found == count && !heard), "{count} rows became {found}, heard: {heard}");
        count = found;
    }
    // Files of statements that died are named to whoever cleans up.
    let client = server.connect().await;
    let files = s3.names("t/part").await.len() as i64;
    let named: i64 = value(&client, "SELECT count(*) FROM t").await.parse::<i64>().unwrap() / ROWS;
    assert!(files >= named);
}
