//! Clients that change a table's definition and its rows at once.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use super::storm::{number, rows};
use crate::process::{Process, code, value};

/// What was acknowledged is there, once.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_alter_and_insert_at_once_lose_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (id BIGINT)").await.unwrap();
    let mut storm = vec![];
    for worker in 0..4 {
        storm.push(tokio::spawn(alter_and_insert(server.connect().await, worker)));
    }
    let (mut inserted, mut columns) = (BTreeSet::new(), BTreeSet::from(["id".to_owned()]));
    for worker in storm {
        let (ids, added) = worker.await.unwrap();
        inserted.extend(ids);
        columns.extend(added);
    }
    assert!(inserted.len() > 20 && columns.len() > 4, "a breeze: {} rows, {columns:?}", inserted.len());
    let found: Vec<i64> =
        rows(&client, "SELECT id FROM t ORDER BY id").await.iter().map(|row| number(row, "id")).collect();
    assert_eq!(found, inserted.iter().copied().collect::<Vec<_>>());
    let described = rows(&client, "DESCRIBE t").await;
    assert_eq!(described.iter().map(|row| row["col_name"].clone()).collect::<BTreeSet<_>>(), columns);
    // Values in the columns that were added came with their rows.
    for column in columns.iter().filter(|column| *column != "id") {
        let id: i64 = column.trim_start_matches("c_").parse().unwrap();
        let count = value(&client, &format!("SELECT count(*) FROM t WHERE {column} = id")).await;
        assert_eq!(count, i64::from(inserted.contains(&id)).to_string(), "{column}");
    }
}

/// The ids that were inserted and the columns that were added for sure. Others may come first too often.
async fn alter_and_insert(client: Client, worker: i64) -> (BTreeSet<i64>, BTreeSet<String>) {
    let (mut inserted, mut added) = (BTreeSet::new(), BTreeSet::new());
    for turn in 0..8 {
        let id = worker * 1000 + turn;
        let column = format!("c_{id}");
        let alters = worker < 2 && succeeds(&client, &format!("ALTER TABLE t ADD COLUMN {column} BIGINT")).await;
        let insert = match alters {
            true => format!("INSERT INTO t (id, {column}) VALUES ({id}, {id})"),
            false => format!("INSERT INTO t (id) VALUES ({id})"),
        };
        if succeeds(&client, &insert).await {
            inserted.insert(id);
        }
        if alters {
            added.insert(column);
        }
    }
    (inserted, added)
}

async fn succeeds(client: &Client, sql: &str) -> bool {
    match client.batch_execute(sql).await {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(code(&error), "40001", "{sql}: {error:?}");
            false
        }
    }
}
