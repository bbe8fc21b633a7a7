//! `kill -9` while tables are made and filled: afterwards a statement has happened or it hasn't.

/// Clients that alter and insert at once.
mod altering;
/// Kills of whatever rewrites, tends or redefines a table.
mod storm;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::process::{Process, value};

const ROWS: i64 = 400_000;

/// Parts of a statement's time after which the server is killed; the last lets it finish.
const MOMENTS: &[f64] = &[0.0, 0.3, 0.6, 0.85, 0.97, 1.3];

fn rows() -> String {
    format!("SELECT v AS a, 'row number ' || v AS b FROM generate_series(1, {ROWS}) AS t(v)")
}

/// Sends a statement, kills the server at a moment of it, and says whether the client had heard of its success.
async fn kill_during(server: Process, client: Client, sql: String, after: Duration) -> bool {
    let statement = tokio::spawn(async move { client.batch_execute(&sql).await.is_ok() });
    tokio::time::sleep(after).await;
    server.kill();
    statement.await.unwrap()
}

async fn time_of(client: &Client, sql: &str) -> Duration {
    let begun_at = Instant::now();
    client.batch_execute(sql).await.unwrap();
    begun_at.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_create_table_as_leaves_the_whole_table_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    time_of(&client, &format!("CREATE TABLE first AS {}", rows())).await;
    let whole = time_of(&client, &format!("CREATE TABLE second AS {}", rows())).await;
    let mut client = Some(client);
    for (round, part) in MOMENTS.iter().enumerate() {
        let name = format!("killed_{round}");
        let connected = match client.take() {
            Some(client) => client,
            None => server.connect().await,
        };
        let sql = format!("CREATE TABLE {name} AS {}", rows());
        let heard = kill_during(server, connected, sql, whole.mul_f64(*part)).await;
        server = Process::start(folder.path(), &[]);
        let after = server.connect().await;
        let made = value(&after, &format!("SELECT count(*) FROM system.tables WHERE name = '{name}'")).await == "1";
        assert!(made || !heard, "{name} was acknowledged and is gone");
        if made {
            assert_eq!(value(&after, &format!("SELECT count(*) FROM {name}")).await, ROWS.to_string());
        }
        assert_no_leftovers(folder.path(), &after).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_insert_adds_all_its_rows_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a BIGINT, b TEXT)").await.unwrap();
    let insert = format!("INSERT INTO t {}", rows());
    time_of(&client, &insert).await;
    let whole = time_of(&client, &insert).await;
    drop(client);
    let mut count = 2 * ROWS;
    for part in MOMENTS {
        let client = server.connect().await;
        let heard = kill_during(server, client, insert.clone(), whole.mul_f64(*part)).await;
        server = Process::start(folder.path(), &[]);
        let after = server.connect().await;
        let found: i64 = value(&after, "SELECT count(*) FROM t").await.parse().unwrap();
        assert!(found == count + ROWS || (found == count && !heard), "{count} rows became {found}, heard: {heard}");
        let distinct: i64 = value(&after, "SELECT count(DISTINCT b) FROM t").await.parse().unwrap();
        assert_eq!(distinct, ROWS);
        count = found;
        // What the killed statement left doesn't stand in the way.
        after.batch_execute("INSERT INTO t VALUES (0, 'row number 1')").await.unwrap();
        count += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_updates_and_deletes_leave_the_old_rows_or_the_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute(&format!("CREATE TABLE t AS {}", rows())).await.unwrap();
    let update = "UPDATE t SET a = a + 1, b = b || '.' WHERE a % 2 = 0 OR a > 0";
    let whole = time_of(&client, update).await;
    drop(client);
    let mut sum: i64 = ROWS * (ROWS + 1) / 2 + ROWS;
    for part in MOMENTS {
        let client = server.connect().await;
        let heard = kill_during(server, client, update.into(), whole.mul_f64(*part)).await;
        server = Process::start(folder.path(), &[]);
        let after = server.connect().await;
        let found: i64 = value(&after, "SELECT sum(a) FROM t").await.parse().unwrap();
        assert!(found == sum + ROWS || (found == sum && !heard), "the sum {sum} became {found}, heard: {heard}");
        assert_eq!(value(&after, "SELECT count(*) FROM t").await, ROWS.to_string());
        sum = found;
    }
    let mut left = ROWS;
    for part in MOMENTS {
        let client = server.connect().await;
        let delete = "DELETE FROM t WHERE b LIKE '%5.%' AND a % 2 = (SELECT min(a) % 2 FROM t)".to_owned();
        let doomed = "SELECT count(*) FROM t WHERE b LIKE '%5.%' AND a % 2 = (SELECT min(a) % 2 FROM t)";
        let doomed: i64 = value(&client, doomed).await.parse().unwrap();
        let heard = kill_during(server, client, delete, whole.mul_f64(*part)).await;
        server = Process::start(folder.path(), &[]);
        let after = server.connect().await;
        let found: i64 = value(&after, "SELECT count(*) FROM t").await.parse().unwrap();
        assert!(found == left - doomed || (found == left && !heard), "{left} rows became {found}, heard: {heard}");
        left = found;
    }
}

/// Several clients raise one number at once, in statements and in blocks: what was acknowledged is there, nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_updates_loses_none_and_doubles_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t AS SELECT 0 AS n UNION ALL SELECT 1000000").await.unwrap();
    let mut storm = vec![];
    for worker in 0..4 {
        let client = server.connect().await;
        storm.push(tokio::spawn(raise(client, worker % 2 == 0)));
    }
    let mut raised = 0;
    for worker in storm {
        raised += worker.await.unwrap();
    }
    assert!(raised > 0);
    assert_eq!(value(&client, "SELECT n FROM t WHERE n < 1000000").await, raised.to_string());
    assert_eq!(value(&client, "SELECT count(*) FROM t").await, "2");
}

/// How often the number was raised for sure. Others may come first too often, and nothing else may go wrong.
async fn raise(client: Client, in_block: bool) -> i64 {
    let mut raised = 0;
    for _ in 0..8 {
        let update = "UPDATE t SET n = n + 1 WHERE n < 1000000";
        let sql = if in_block { format!("BEGIN; {update}; COMMIT") } else { update.to_owned() };
        match client.batch_execute(&sql).await {
            Ok(()) => raised += 1,
            Err(error) => {
                let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
                assert_eq!(code, "40001", "{error:?}");
                let _ = client.batch_execute("ROLLBACK").await;
            }
        }
    }
    raised
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_survives_kills_in_a_storm_of_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let server = Process::start(folder.path(), &[]);
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let client = server.connect();
                (worker, client)
            })
            .collect();
        let mut storm = vec![];
        for (worker, client) in workers {
            storm.push(tokio::spawn(make(client.await, round, worker)));
        }
        tokio::time::sleep(Duration::from_millis(700 + 250 * round)).await;
        server.kill();
        for worker in storm {
            acknowledged.extend(worker.await.unwrap());
        }
        let server = Process::start(folder.path(), &[]);
        let client = server.connect().await;
        let found = tables(&client).await;
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
        for table in &found {
            let count = value(&client, &format!("SELECT count(*) FROM {table}")).await;
            assert!(count == "0" || count == "2", "{table}: {count}");
        }
        assert_no_leftovers(folder.path(), &client).await;
    }
    assert!(acknowledged.len() > 10, "the storm was a breeze: {}", acknowledged.len());
}

/// Makes schemas and tables until the server is gone; says which tables were acknowledged, and not dropped.
async fn make(client: Client, round: u64, worker: usize) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for number in 0.. {
        let schema = format!("s_{round}_{worker}_{number}");
        let table = format!("{schema}.t");
        for (sql, made) in [
            (format!("CREATE SCHEMA {schema}"), false),
            (format!("CREATE TABLE {table} (a INT)"), true),
            (format!("CREATE TABLE {schema}.gone AS SELECT 1 AS a UNION ALL SELECT 2"), false),
            (format!("INSERT INTO {table} VALUES (1), (2)"), true),
            (format!("DROP TABLE {schema}.gone"), false),
        ] {
            if client.batch_execute(&sql).await.is_err() {
                return acknowledged;
            }
            if made {
                acknowledged.insert(table.clone());
            }
        }
    }
    acknowledged
}

async fn tables(client: &Client) -> BTreeSet<String> {
    let messages = client.simple_query("SELECT schema || '.' || name FROM system.tables").await.unwrap();
    let name = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_string),
        _ => None,
    };
    messages.iter().filter_map(name).collect()
}

/// Folders of tables are those of the catalog's tables, and hold no file that no version names but what an INSERT that
/// died has left.
async fn assert_no_leftovers(data_dir: &Path, client: &Client) {
    let messages = client.simple_query("SELECT location FROM system.tables").await.unwrap();
    let named: BTreeSet<String> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(|url| url.trim_end_matches('/').to_string()),
            _ => None,
        })
        .filter_map(|url| url.rsplit('/').next().map(str::to_string))
        .collect();
    let mut found = BTreeSet::new();
    for schema in std::fs::read_dir(data_dir.join("tables")).unwrap() {
        for table in std::fs::read_dir(schema.unwrap().path()).unwrap() {
            found.insert(table.unwrap().file_name().to_string_lossy().into_owned());
        }
    }
    assert_eq!(found, named, "folders of tables, and tables of the catalog");
}
