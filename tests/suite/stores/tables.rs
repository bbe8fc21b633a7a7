//! Statements on tables in a bucket.

use super::s3::{S3, secret};
use crate::process::{Process, failure, value};

#[tokio::test(flavor = "multi_thread")]
async fn tables_live_in_a_bucket_as_in_a_folder() {
    let (s3, folder) = (S3::start().await, tempfile::tempdir().unwrap());
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute(&secret(s3.port, "")).await.unwrap();
    client
        .batch_execute(
            "CREATE TABLE t (a BIGINT NOT NULL, b TEXT, CHECK (a > 0)) LOCATION 's3://lake/some/t';
             INSERT INTO t VALUES (1, 'x'), (2, NULL);
             CREATE TABLE big LOCATION 's3://lake/big/' AS
                 SELECT v AS a, 'row number ' || v AS b FROM generate_series(1, 200000) AS g(v);
             INSERT INTO t VALUES (8, 'n'), (9, 'n');
             UPDATE t SET b = 'm', a = a + 2 WHERE a = 8;
             DELETE FROM t WHERE a IN (SELECT 9);
             MERGE INTO t USING (VALUES (1), (2)) AS s(k) ON a = k
                 WHEN MATCHED AND k = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET b = 'y';
             BEGIN; INSERT INTO t VALUES (3, 'z'); UPDATE t SET a = a + 1 WHERE a = 3; DELETE FROM t WHERE a = 10; COMMIT",
        )
        .await
        .unwrap();
    assert_eq!(value(&client, "SELECT string_agg(a || b, ',' ORDER BY a) FROM t").await, "2y,4z");
    assert_eq!(value(&client, "SELECT count(*) || ' ' || sum(a) FROM big").await, "200000 20000100000");
    assert_eq!(failure(&client, "INSERT INTO t VALUES (-1, 'x')").await.0, "23514");
    assert_eq!(value(&client, "SELECT count(*) FROM t VERSION AS OF 1").await, "2");
    client.batch_execute("INSERT INTO t VALUES (5, 'v'); INSERT INTO t VALUES (6, 'w'); OPTIMIZE t").await.unwrap();
    assert_eq!(value(&client, "SELECT string_agg(a || b, ',' ORDER BY a) FROM t").await, "2y,4z,5v,6w");

    // Another server reads it where it lies.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Process::start(elsewhere.path(), &[]);
    let reader = other.connect().await;
    assert_eq!(
        failure(&reader, "CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION 's3://lake/some/t'").await.0,
        "28000"
    );
    reader.batch_execute(&secret(s3.port, "")).await.unwrap();
    reader.batch_execute("CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION 's3://lake/some/t/'").await.unwrap();
    assert_eq!(value(&reader, "SELECT sum(a) FROM t").await, "17");

    // Its files outlive its name, as everywhere with a LOCATION.
    client.batch_execute("DROP TABLE t").await.unwrap();
    assert_eq!(value(&reader, "SELECT sum(a) FROM t").await, "17");
    assert_eq!(failure(&client, "CREATE TABLE u (a INT) LOCATION 's3://lake/some/t'").await.0, "42710");
    let (code, said) = failure(&client, "CREATE TABLE u (a INT) LOCATION 's3://elsewhere/t'").await;
    assert_eq!(code, "28000", "{said}");
    client.batch_execute(&secret(s3.port, "").replace(", SCOPE 's3://lake'", "")).await.unwrap();
    let (code, said) = failure(&client, "CREATE TABLE u (a INT) LOCATION 's3://elsewhere/t'").await;
    assert_eq!((code.as_str(), said.contains("bucket \"elsewhere\" does not exist")), ("58P01", true), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_fails_leaves_nothing_and_takes_nothing_of_others() {
    let (s3, folder) = (S3::start().await, tempfile::tempdir().unwrap());
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute(&secret(s3.port, "")).await.unwrap();
    let broken =
        "CREATE TABLE t LOCATION 's3://lake/t' AS SELECT 1 / (v - 150000) AS a FROM generate_series(1, 200000) AS g(v)";
    assert_eq!(failure(&client, broken).await.0, "22012");
    assert_eq!(s3.names("t/").await, Vec::<String>::new());
    client.batch_execute("CREATE TABLE t LOCATION 's3://lake/t' AS SELECT 1 AS a").await.unwrap();
    let names = s3.names("t/").await;
    let taken = "CREATE TABLE u LOCATION 's3://lake/t' AS SELECT 2 AS a";
    assert_eq!(failure(&client, taken).await.0, "42710");
    assert_eq!(s3.names("t/").await, names);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_kept_over_a_restart_and_lie_nowhere_in_clear() {
    let (s3, folder) = (S3::start().await, tempfile::tempdir().unwrap());
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    let hushed = secret(s3.port, "").replace("SECRET 'test'", "SECRET 'hush-hush'");
    client.batch_execute(&hushed).await.unwrap();
    client.batch_execute("CREATE TABLE t LOCATION 's3://lake/t' AS SELECT 1 AS a").await.unwrap();
    server.kill();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(9).any(|bytes| bytes == b"hush-hush"), "{} holds it", path.display());
        }
    }
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    assert_eq!(value(&client, "SELECT a FROM t").await, "1");
    let plan = client.simple_query("EXPLAIN VERBOSE SELECT a FROM t").await.unwrap();
    assert!(!format!("{plan:?}").contains("hush-hush"));
    // A lost key is said, and a new secret helps.
    drop(client);
    server.kill();
    std::fs::remove_file(folder.path().join("secrets.key")).unwrap();
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    let (code, said) = failure(&client, "SELECT a FROM t").await;
    assert_eq!((code.as_str(), said.contains("secret \"lake\" cannot be read")), ("22023", true), "{said}");
    client.batch_execute(&hushed).await.unwrap();
    assert_eq!(value(&client, "SELECT a FROM t").await, "1");
    client.batch_execute("DROP SECRET lake").await.unwrap();
    assert_eq!(failure(&client, "SELECT a FROM t").await.0, "28000");
}
