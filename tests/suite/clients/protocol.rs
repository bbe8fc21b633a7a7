//! tokio-postgres speaks the extended protocol in binary only: what it sends must come back.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};

use crate::process::{Process, code, failure, value};

async fn server() -> (tempfile::TempDir, Process, Client) {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    (folder, server, client)
}

/// Sends `value` as `sql_type`, declared by the client or told by a cast, and expects it back.
async fn echo<T>(client: &Client, sql_type: &str, value: T)
where
    T: ToSql + Sync + PartialEq + std::fmt::Debug + for<'a> FromSql<'a>,
{
    let sql = format!("SELECT $1::{sql_type}");
    let row = client.query_one(&sql, &[&value]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    assert_eq!(row.try_get::<_, T>(0).unwrap_or_else(|error| panic!("{sql}: {error:?}")), value, "{sql}");
    let none = client.query_one(&sql, &[&None::<T>]).await.unwrap_or_else(|error| panic!("{sql} NULL: {error:?}"));
    assert_eq!(none.get::<_, Option<T>>(0), None, "{sql}");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_each_common_type_go_and_come_in_binary() {
    let (_folder, _server, client) = server().await;
    echo(&client, "boolean", true).await;
    echo(&client, "smallint", i16::MIN).await;
    echo(&client, "int", i32::MIN).await;
    echo(&client, "bigint", i64::MAX).await;
    echo(&client, "real", 1.0e-37_f32).await;
    echo(&client, "double precision", f64::MAX).await;
    echo(&client, "text", "naïve 語 \u{1f30a}".to_string()).await;
    echo(&client, "varchar", String::new()).await;
    echo(&client, "bytea", vec![0_u8, 0xff, 7]).await;
    // The bytes of what Rust's standard library has no type for.
    echo(&client, "date", Raw(9_000_i32.to_be_bytes().to_vec())).await;
    echo(&client, "time", Raw(86_399_999_999_i64.to_be_bytes().to_vec())).await;
    echo(&client, "timestamp", Raw((-1_i64).to_be_bytes().to_vec())).await;
    echo(&client, "timestamptz", Raw(777_000_000_000_001_i64.to_be_bytes().to_vec())).await;
    // 1 mon 2 days 00:00:03
    let interval = [&3_000_000_i64.to_be_bytes()[..], &2_i32.to_be_bytes(), &1_i32.to_be_bytes()].concat();
    echo(&client, "interval", Raw(interval)).await;
    // -12345.6789: four digits of base 10000, weight 1, sign, scale 4.
    let numeric = [3_i16, 1, 0x4000, 4, 1, 2345, 6789].iter().flat_map(|part| part.to_be_bytes()).collect();
    echo(&client, "numeric(20, 4)", Raw(numeric)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_go_and_come_in_binary() {
    let (_folder, _server, client) = server().await;
    let texts = vec![Some("a,b".to_string()), None, Some("\"quoted\" {x}".to_string()), Some(String::new())];
    echo(&client, "text[]", texts).await;
    echo(&client, "int[]", vec![Some(i32::MIN), None, Some(7)]).await;
    echo(&client, "bigint[]", vec![i64::MAX, 0]).await;
    echo(&client, "real[]", vec![1.5_f32, -0.0, f32::MAX]).await;
    echo(&client, "float8[]", vec![Some(0.1), None]).await;
    echo(&client, "boolean[]", vec![true, false]).await;
    echo(&client, "int[]", Vec::<i32>::new()).await;
    let sum = client.query_one("SELECT inner_product($1, $2)", &[&vec![1.0_f32, 2.0], &vec![3.0_f32, 4.0]]).await;
    assert_eq!(sum.unwrap().get::<_, f64>(0), 11.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedding_comes_as_floats_and_goes_back_as_a_parameter() {
    let (_folder, _server, client) = server().await;
    let row = client.query_one("SELECT embed($1)", &[&"a small boat on a wide river"]).await.unwrap();
    let vector: Vec<f32> = row.get(0);
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    assert_eq!(vector.len(), 384);
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    let sql = "SELECT cosine_distance(embed(text), $1) FROM (VALUES ('a small boat on a wide river')) AS t(text)";
    let distance = client.query_one(sql, &[&vector]).await.unwrap();
    assert!(distance.get::<_, f64>(0).abs() < 1e-6);
    assert_eq!(code(&client.query_one(sql, &[&vec![1.0_f32]]).await.unwrap_err()), "22000");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_counts_is_bigint() {
    let (_folder, _server, client) = server().await;
    let sql = "SELECT count(*), row_number() OVER (ORDER BY v), rank() OVER (ORDER BY v), dense_rank() OVER (ORDER BY v), \
               ntile(2) OVER (ORDER BY v), cardinality(ARRAY[v, v]), array_length(ARRAY[v]), array_position(ARRAY[v], v) \
               FROM (VALUES (7), (8)) AS t(v) GROUP BY v ORDER BY v";
    let rows = client.query(sql, &[]).await.unwrap();
    let numbers = |row: &tokio_postgres::Row| (0..row.len()).map(|column| row.get(column)).collect::<Vec<i64>>();
    assert_eq!(rows.iter().map(numbers).collect::<Vec<_>>(), [[1, 1, 1, 1, 1, 2, 1, 1], [1, 2, 2, 2, 2, 2, 1, 1]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_give_rows_by_the_portion() {
    let (_folder, _server, mut client) = server().await;
    let transaction = client.transaction().await.unwrap();
    let statement =
        transaction.prepare("SELECT v FROM generate_series(1, 20000) AS t(v) WHERE v <= $1 ORDER BY v").await.unwrap();
    let portal = transaction.bind(&statement, &[&20_000_i64]).await.unwrap();
    let other = transaction.bind(&statement, &[&3_i64]).await.unwrap();
    let mut seen = vec![];
    for rows_max in [1, 2, 8192, 1, 5000] {
        let rows = transaction.query_portal(&portal, rows_max).await.unwrap();
        assert_eq!(rows.len(), rows_max as usize);
        seen.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        // Two portals are open at once.
        assert!(transaction.query_portal(&other, 1).await.unwrap().len() <= 1);
    }
    seen.extend(transaction.query_portal(&portal, 0).await.unwrap().iter().map(|row| row.get::<_, i64>(0)));
    assert!(seen.iter().copied().eq(1..=20_000), "{}", seen.len());
    assert!(transaction.query_portal(&portal, 0).await.unwrap().is_empty());
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_in_a_pipeline_are_answered_in_order() {
    let (_folder, _server, client) = server().await;
    let statement = client.prepare("SELECT $1::bigint * 2").await.unwrap();
    let answers = futures::future::join_all((0..200_i64).map(|number| {
        let (client, statement) = (&client, &statement);
        async move { client.query_one(statement, &[&number]).await.unwrap().get::<_, i64>(0) }
    }));
    assert!(answers.await.into_iter().eq((0..200).map(|number| number * 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_sees_what_was_written_since() {
    let (_folder, server, client) = server().await;
    client.batch_execute("CREATE TABLE t (a INT, b TEXT)").await.unwrap();
    let count = client.prepare("SELECT count(*) FROM t WHERE a > $1").await.unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1, $2)").await.unwrap();
    let other = server.connect().await;
    for number in 1..=3_i32 {
        assert_eq!(client.execute(&insert, &[&number, &Some("x")]).await.unwrap(), 1);
        assert_eq!(client.query_one(&count, &[&0]).await.unwrap().get::<_, i64>(0), i64::from(number));
        assert_eq!(value(&other, "SELECT count(*) FROM t").await, number.to_string());
    }
    assert_eq!(client.execute(&insert, &[&9, &None::<&str>]).await.unwrap(), 1);
    assert_eq!(value(&other, "SELECT count(*) FROM t WHERE b IS NULL").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_commit_roll_back_and_abort() {
    let (_folder, server, mut client) = server().await;
    client.batch_execute("CREATE TABLE t (a INT); CREATE TABLE u (a INT)").await.unwrap();
    let other = server.connect().await;

    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES ($1)", &[&1]).await.unwrap();
    assert_eq!(transaction.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get::<_, i64>(0), 1);
    assert_eq!(value(&other, "SELECT count(*) FROM t").await, "0");
    transaction.commit().await.unwrap();
    assert_eq!(value(&other, "SELECT count(*) FROM t").await, "1");

    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (2)", &[]).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(value(&other, "SELECT count(*) FROM t").await, "1");

    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (3)", &[]).await.unwrap();
    assert_eq!(code(&transaction.query("SELECT 1 / 0", &[]).await.unwrap_err()), "22012");
    assert_eq!(code(&transaction.query("SELECT 1", &[]).await.unwrap_err()), "25P02");
    transaction.commit().await.unwrap();
    assert_eq!(value(&other, "SELECT count(*) FROM t").await, "1");

    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (4)", &[]).await.unwrap();
    assert_eq!(code(&transaction.execute("INSERT INTO u VALUES (4)", &[]).await.unwrap_err()), "0A000");
    drop(transaction);
    assert_eq!(value(&client, "SELECT count(*) FROM t").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_carry_their_codes_and_leave_the_session_as_it_was() {
    let (_folder, _server, client) = server().await;
    for (sql, expected) in [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nothing_here", "42P01"),
        ("SELECT nothing_here", "42703"),
        ("SELECT nothing_here()", "42883"),
        ("SELECT 1 / 0", "22012"),
        ("SELECT 'x'::int", "22P02"),
        ("SELECT 99999999999::int", "22003"),
        ("SELECT avg(a) FROM (VALUES ('x')) AS t(a)", "42883"),
        ("CREATE TABLE information_schema.t (a INT)", "42501"),
        ("UPDATE nothing_here SET a = 1", "42P01"),
        ("SET no_such_setting = 1", "42704"),
        ("SELECT ai_query('no_such_model', 1)", "42704"),
    ] {
        let (simple, words) = failure(&client, sql).await;
        assert_eq!(simple, expected, "{sql}: {words}");
        let extended = client.query(sql, &[]).await.unwrap_err();
        assert_eq!(code(&extended), expected, "{sql}: {extended:?}");
        assert_eq!(value(&client, "SELECT 1").await, "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_token_ends_a_stream_that_is_being_read() {
    let (_folder, _server, client) = server().await;
    let token = client.cancel_token();
    let sql = "SELECT v FROM generate_series(1, 1000000000000) AS t(v)";
    let mut rows = Box::pin(client.query_raw(sql, Vec::<i32>::new()).await.unwrap());
    for _ in 0..10_000 {
        assert!(rows.try_next().await.unwrap().is_some());
    }
    token.cancel_query(NoTls).await.unwrap();
    let cancelled_at = Instant::now();
    let error = loop {
        match rows.try_next().await {
            Ok(row) => assert!(row.is_some(), "the stream can't have ended"),
            Err(error) => break error,
        }
    };
    assert_eq!(code(&error), "57014");
    assert!(cancelled_at.elapsed() < Duration::from_secs(5), "{:?}", cancelled_at.elapsed());
    assert_eq!(value(&client, "SELECT 1").await, "1");
}

/// A value as its bytes on the wire.
#[derive(Debug, PartialEq)]
struct Raw(Vec<u8>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
