//! Delta tables as other writers make them (`tests/data/delta`): read as they were meant, or refused by the name of what
//! is missing; and written to only where nothing that they ask of a writer is left out.

use std::path::Path;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::harness::{Served, root};
use crate::process::failure;

/// Rows of a query: values between bars, rows between semicolons.
async fn rows(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let values: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect();
            Some(values.join("|"))
        }
        _ => None,
    });
    rows.collect::<Vec<_>>().join("; ")
}

/// Makes `name` a table whose folder is a copy of a fixture.
async fn adopt(server: &Served, client: &Client, fixture: &str, columns: &str) {
    let folder = server.data_dir().join("adopted").join(fixture);
    let sql = format!("CREATE TABLE {fixture} ({columns}) LOCATION '{}'", folder.display());
    client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    std::fs::remove_dir_all(&folder).unwrap();
    copy(&root().join("tests/data/delta").join(fixture), &folder);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &place);
        } else {
            std::fs::copy(&path, &place).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_read_as_they_were_meant() {
    let server = Served::start().await;
    let client = server.connect().await;
    let ten = "0; 1; 2; 3; 4; 5; 6; 7; 8; 9";
    let mapped = "1|1.5|{\"text\":\"x\"}|a; 2|NULL|{\"text\":null}|a; 3|2.5|NULL|a";
    for (fixture, query, expected) in [
        ("dv_inline", "SELECT id FROM x ORDER BY id", "1; 3; 4; 5; 6; 7; 8; 10; 11; 12"),
        ("dv_file", "SELECT id FROM x ORDER BY id", "1; 3; 4; 5; 6; 7; 8; 10; 11; 12"),
        ("dv_file", "SELECT count(*), min(id), max(id) FROM x WHERE id <> 5", "9|1|12"),
        ("dv_inline", "SELECT count(*) FROM x", "10"),
        ("mapping_name", "SELECT * FROM x ORDER BY id", mapped),
        ("mapping_id", "SELECT * FROM x ORDER BY id", mapped),
        ("mapping_name", "SELECT id FROM x WHERE \"Größe, m\" > 2 AND kind = 'a'", "3"),
        ("checkpoint_parts", "SELECT id FROM x ORDER BY id", ten),
        ("checkpoint_v2", "SELECT id FROM x ORDER BY id", ten),
        ("log_compacted", "SELECT id FROM x ORDER BY id", "2; 3; 4; 5; 6; 7"),
        (
            "nested",
            "SELECT id, point, tags, counts, deep, price, local, at, bytes FROM x ORDER BY id",
            "1|{\"x\":1.5,\"label\":\"a\"}|{a,NULL}|{\"k\":1,\"l\":null}|[{\"y\":[1,2]}]|1.50|2024-02-29 12:30:00|\
             2024-02-29 12:30:00+00|\\x00ff; \
             2|{\"x\":null,\"label\":null}|{}|{}|[{\"y\":null},null]|NULL|NULL|NULL|\\x; \
             3|NULL|NULL|NULL|NULL|-99999999.99|1969-12-31 00:00:00|1969-12-31 00:00:00+00|NULL",
        ),
        (
            "partitions",
            "SELECT id, at, day, name, n FROM x ORDER BY id",
            "0|2024-02-29 12:30:00.5+00|2024-02-29|a b/ü%=|1.50; \
             1|2024-02-29 12:30:00.5+00|0001-01-01|NULL|-0.01; \
             2|NULL|NULL|NULL|NULL",
        ),
        ("partitions", "SELECT id FROM x WHERE name = 'a b/ü%='", "0"),
        ("partitions", "SELECT id FROM x WHERE name IS NULL AND n IS NOT NULL", "1"),
        ("row_tracking", "SELECT id FROM x ORDER BY id", "0; 1; 2"),
        ("clustering", "SELECT id FROM x ORDER BY id", "0; 1; 2"),
        ("domain_metadata", "SELECT id FROM x ORDER BY id", "0; 1; 2"),
        ("in_commit_timestamp", "SELECT id FROM x ORDER BY id", "0; 1; 2"),
        ("identity", "SELECT id FROM x ORDER BY id", "0; 1; 2"),
        ("defaults", "SELECT id FROM x ORDER BY id", "0; 1; 2"),
        ("append_only", "SELECT id FROM x ORDER BY id", "0; 1; 2"),
        ("unknown_writer", "SELECT id FROM x ORDER BY id", "0; 1; 2"),
    ] {
        let folder = root().join("tests/data/delta").join(fixture);
        let sql = format!("CREATE EXTERNAL TABLE {fixture} STORED AS DELTA LOCATION '{}'", folder.display());
        client.batch_execute(&format!("DROP TABLE IF EXISTS {fixture}")).await.unwrap();
        client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let query = query.replace(" x", &format!(" {fixture}"));
        assert_eq!(rows(&client, &query).await, expected, "{fixture}: {query}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_by_name() {
    let server = Served::start().await;
    let client = server.connect().await;
    for (fixture, name) in [
        ("unknown_reader", "somethingNobodyKnows"),
        ("future_protocol", "99"),
        ("type_widening", "typeWidening"),
        ("variant", "variant"),
    ] {
        let folder = root().join("tests/data/delta").join(fixture);
        let sql = format!("CREATE EXTERNAL TABLE {fixture} STORED AS DELTA LOCATION '{}'", folder.display());
        let (code, said) = failure(&client, &sql).await;
        assert_eq!(code, "0A000", "{fixture}: {said}");
        assert!(said.to_lowercase().contains(&name.to_lowercase()), "{fixture}: {said}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_written_to_only_if_nothing_is_left_out() {
    let server = Served::start().await;
    let client = server.connect().await;
    for (fixture, missing) in [
        ("dv_inline", None),
        ("dv_file", None),
        ("checkpoint_parts", None),
        ("checkpoint_v2", None),
        ("log_compacted", None),
        ("append_only", None),
        ("row_tracking", Some("rowTracking")),
        ("clustering", Some("clustering")),
        ("domain_metadata", Some("domainMetadata")),
        ("in_commit_timestamp", Some("inCommitTimestamp")),
        ("identity", Some("identityColumns")),
        ("defaults", Some("allowColumnDefaults")),
        ("unknown_writer", Some("somethingNobodyKnows")),
    ] {
        adopt(&server, &client, fixture, "id BIGINT").await;
        let count = format!("SELECT count(*) FROM {fixture}");
        let before: u64 = rows(&client, &count).await.parse().unwrap();
        let insert = format!("INSERT INTO {fixture} VALUES (99)");
        match missing {
            None => {
                client.batch_execute(&insert).await.unwrap_or_else(|error| panic!("{fixture}: {error:?}"));
                assert_eq!(rows(&client, &count).await, (before + 1).to_string(), "{fixture}");
            }
            Some(feature) => {
                let (code, said) = failure(&client, &insert).await;
                assert_eq!(code, "0A000", "{fixture}: {said}");
                assert!(said.contains(feature), "{fixture}: {said}");
                assert_eq!(rows(&client, &count).await, before.to_string(), "{fixture}");
            }
        }
    }
    server.stop().await;
}
