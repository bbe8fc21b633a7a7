//! A statement that needs more than `--memory-limit` ends with 53200; the server and its other sessions go on.

use crate::process::{Process, failure, value};

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_beyond_the_memory_limit_ends_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &["--memory-limit", "16MB", "--target-partitions", "2"]);
    let client = server.connect().await;
    let other = server.connect().await;
    for (what, sql) in [
        (
            "a hash join",
            "SELECT count(*) FROM generate_series(1, 3000000) AS t(v) JOIN generate_series(1, 3000000) AS u(w) ON v = w",
        ),
        (
            "a sort for its first rows",
            "SELECT v FROM generate_series(1, 2000000) AS t(v) ORDER BY v % 1000, v DESC LIMIT 2 OFFSET 1000000",
        ),
        (
            "a table in order",
            "CREATE TABLE big AS SELECT v AS a, 'x' || v AS b FROM generate_series(1, 1000000) AS t(v) ORDER BY v DESC",
        ),
    ] {
        let (code, words) = failure(&client, sql).await;
        assert_eq!(code, "53200", "{what}: {words}");
        assert!(words.contains("memory limit") || words.contains("--memory-limit"), "{what}: {words}");
        assert_eq!(value(&client, "SELECT 1").await, "1");
        assert_eq!(value(&other, "SELECT count(*) FROM generate_series(1, 100000) AS t(v)").await, "100000");
    }
    assert_eq!(value(&client, "SELECT count(*) FROM system.tables").await, "0");
    let left = std::fs::read_dir(folder.path().join("tables"))
        .map_or(0, |schemas| schemas.map(|schema| std::fs::read_dir(schema.unwrap().path()).unwrap().count()).sum());
    assert_eq!(left, 0, "folders of tables that were never made");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_spill_does_not_fail() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &["--memory-limit", "24MB", "--target-partitions", "2"]);
    let client = server.connect().await;
    let groups = "SELECT count(*) FROM (SELECT v % 500000 AS a, count(*) FROM generate_series(1, 1000000) AS t(v) GROUP BY 1) AS g";
    assert_eq!(value(&client, groups).await, "500000");
}
