//! COPY by tokio-postgres: what PostgreSQL wrote goes in and comes out byte by byte, faults are told as PostgreSQL tells
//! them, and whatever breaks off leaves nothing.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt, TryStreamExt};
use tokio_postgres::{Client, CopyInSink, Error};

use crate::harness::{Served, root};
use crate::process::value;

const SPELLINGS: &[(&str, &str)] = &[
    ("text", "FORMAT text"),
    ("text_bar", "FORMAT text, DELIMITER '|', NULL 'nil', HEADER"),
    ("csv", "FORMAT csv"),
    ("csv_header", "FORMAT csv, HEADER, DELIMITER ';', NULL 'x', FORCE_QUOTE (t, i2)"),
    ("csv_quote", "FORMAT csv, QUOTE '''', ESCAPE '\\', FORCE_QUOTE *"),
    ("binary", "FORMAT binary"),
];

fn golden(table: &str, spelling: &str) -> Bytes {
    let file: PathBuf = root().join("tests/data/copy").join(format!("{table}.{spelling}"));
    std::fs::read(&file).unwrap().into()
}

/// Sends the data in pieces that end anywhere.
async fn load(client: &Client, sql: &str, data: &[u8], piece: usize) -> Result<u64, Error> {
    let sink: CopyInSink<Bytes> = client.copy_in(sql).await?;
    let mut sink = std::pin::pin!(sink);
    for piece in data.chunks(piece) {
        sink.send(Bytes::copy_from_slice(piece)).await?;
    }
    sink.finish().await
}

async fn fetch(client: &Client, sql: &str) -> Bytes {
    let stream = client.copy_out(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    stream
        .try_fold(BytesMut::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
        .unwrap()
        .freeze()
}

/// Of the options, those that hold for the way in.
fn inwards(options: &str) -> String {
    options.split(", FORCE_QUOTE").next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgresql_wrote_comes_back_as_it_was() {
    let server = Served::start().await;
    let client = server.connect().await;
    let tables = [
        (
            "t",
            "id INT, b BOOLEAN, i2 SMALLINT, i8 BIGINT, f4 REAL, f8 DOUBLE PRECISION, n NUMERIC(20,4), t TEXT, y BYTEA, \
             d DATE, ts TIMESTAMP, tz TIMESTAMPTZ, ai INT[], at TEXT[], af DOUBLE PRECISION[]",
        ),
        ("one", "t TEXT"),
    ];
    for (table, columns) in tables {
        for (place, (spelling, options)) in SPELLINGS.iter().enumerate() {
            // Where a value reads like NULL, PostgreSQL too loses it on the way out.
            if (table, *spelling) == ("one", "text_bar") {
                continue;
            }
            let copy = format!("{table}_{spelling}");
            client.batch_execute(&format!("CREATE TABLE {copy} ({columns})")).await.unwrap();
            let sql = format!("COPY {copy} FROM STDIN ({})", inwards(options));
            let rows = load(&client, &sql, &golden(table, spelling), [7, 1, 4096, 64, 3, 1000][place]).await;
            let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            assert_eq!(rows, if table == "t" { 150 } else { 27 }, "{sql}");
            for (spelling, options) in SPELLINGS {
                let options = if table == "one" { options.replace("(t, i2)", "(t)") } else { options.to_string() };
                let out = fetch(&client, &format!("COPY {copy} TO STDOUT ({options})")).await;
                assert!(out == golden(table, spelling), "{copy} as {spelling} differs");
            }
        }
    }
    server.stop().await;
}

/// Code, message, hint and context of the refusal of `data`.
async fn refusal(client: &Client, options: &str, data: &str) -> String {
    let options = if options.is_empty() { String::new() } else { format!("({options})") };
    let error = load(client, &format!("COPY f FROM STDIN {options}"), data.as_bytes(), 5).await.unwrap_err();
    let error = error.as_db_error().unwrap_or_else(|| panic!("{options} {data:?}: {error:?}"));
    let hint = error.hint().map(|hint| format!(" / {hint}")).unwrap_or_default();
    format!("{} {}{hint} @ {}", error.code().code(), error.message(), error.where_().unwrap_or("-"))
}

/// The words are PostgreSQL 15's, given the same data.
#[tokio::test(flavor = "multi_thread")]
async fn faults_in_the_data_are_told_with_their_place() {
    let server = Served::start().await;
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE f (a INT, b TEXT)").await.unwrap();
    for (options, data, expected) in [
        (
            "FORMAT text",
            "1\tx\nz\ty\n",
            "22P02 invalid input syntax for type integer: \"z\" @ COPY f, line 2, column a: \"z\"",
        ),
        ("FORMAT text", "1\n", "22P04 missing data for column \"b\" @ COPY f, line 1: \"1\""),
        ("FORMAT text", "z\n", "22P02 invalid input syntax for type integer: \"z\" @ COPY f, line 1, column a: \"z\""),
        ("FORMAT text", "1\tx\ty\n", "22P04 extra data after last expected column @ COPY f, line 1: \"1\tx\ty\""),
        (
            "",
            "1\tx\nz\tx\n1\tx\ty\n",
            "22P02 invalid input syntax for type integer: \"z\" @ COPY f, line 2, column a: \"z\"",
        ),
        (
            "",
            "99999999999\tx\n",
            "22003 value \"99999999999\" is out of range for type integer @ COPY f, line 1, column a: \"99999999999\"",
        ),
        (
            "",
            "1\tx\r\n2\ty\n",
            "22P04 literal newline found in data / Use \"\\n\" to represent newline. @ COPY f, line 2",
        ),
        (
            "",
            "1\tx\n2\ty\r\n",
            "22P04 literal carriage return found in data / Use \"\\r\" to represent carriage return. @ COPY f, line 2",
        ),
        ("FORMAT text", "1\tx\n\\.y\n", "22P04 end-of-copy marker corrupt @ COPY f, line 2"),
        ("FORMAT csv", "1,\"x\n", "22P04 unterminated CSV quoted field @ COPY f, line 1: \"1,\"x\n\""),
        (
            "FORMAT csv",
            "1,x\n2,y\r\n",
            "22P04 unquoted carriage return found in data / Use quoted CSV field to represent carriage return. @ COPY f, line 2",
        ),
        (
            "FORMAT csv",
            "1,\"a\nb\"\nz,y\n",
            "22P02 invalid input syntax for type integer: \"z\" @ COPY f, line 2, column a: \"z\"",
        ),
        (
            "FORMAT csv, HEADER MATCH",
            "a,c\n",
            "22P04 column name mismatch in header line field 2: got \"c\", expected \"b\" @ COPY f, line 1: \"a,c\"",
        ),
        (
            "FORMAT csv, HEADER MATCH",
            "a\n",
            "22P04 wrong number of fields in header line: got 1, expected 2 @ COPY f, line 1: \"a\"",
        ),
        ("FORMAT binary", "PGCOPY\n", "22P04 COPY file signature not recognized @ COPY f, line 1"),
        (
            "FORMAT text",
            "1\t\\xff\n",
            "22021 invalid byte sequence for encoding \"UTF8\": 0xff @ COPY f, line 1: \"1\t\\xff\"",
        ),
    ] {
        assert_eq!(refusal(&client, options, data).await, expected, "{options} {data:?}");
    }
    assert_eq!(value(&client, "SELECT count(*) FROM f").await, "0");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_leaves_nothing() {
    let server = Served::start().await;
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE k (a INT CHECK (a < 100))").await.unwrap();
    // Given up by the client.
    let sink: CopyInSink<Bytes> = client.copy_in("COPY k FROM STDIN").await.unwrap();
    let mut sink = Box::pin(sink);
    sink.send(Bytes::from_static(b"1\n2\n")).await.unwrap();
    drop(sink);
    assert_eq!(value(&client, "SELECT count(*) FROM k").await, "0");
    // Refused by the table, while data still come.
    let mut data = b"1\n".repeat(50_000);
    data.extend_from_slice(b"100\n");
    data.extend_from_slice(&b"1\n".repeat(500_000));
    let error = load(&client, "COPY k FROM STDIN", &data, 8_000).await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("23514"), "{error:?}");
    assert_eq!(value(&client, "SELECT count(*) FROM k").await, "0");
    // Cancelled, and too late.
    let sink: CopyInSink<Bytes> = client.copy_in("COPY k FROM STDIN").await.unwrap();
    let mut sink = Box::pin(sink);
    sink.send(Bytes::from_static(b"1\n")).await.unwrap();
    // The driver's Sync is ahead of its data: it has to be there before the cancel, or it is answered by itself.
    tokio::time::sleep(Duration::from_millis(300)).await;
    client.cancel_token().cancel_query(tokio_postgres::NoTls).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let error = sink.as_mut().finish().await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{error:?}");
    drop(sink);
    client.batch_execute("SET statement_timeout = 200").await.unwrap();
    let sink: CopyInSink<Bytes> = client.copy_in("COPY k FROM STDIN").await.unwrap();
    let mut sink = Box::pin(sink);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(sink.as_mut().finish().await.is_err());
    drop(sink);
    client.batch_execute("SET statement_timeout = 0").await.unwrap();
    // Hung up on.
    let other = server.connect().await;
    let sink: CopyInSink<Bytes> = other.copy_in("COPY k FROM STDIN").await.unwrap();
    let mut sink = Box::pin(sink);
    sink.send(Bytes::from_static(b"1\n2\n")).await.unwrap();
    drop((sink, other));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(value(&client, "SELECT count(*) FROM k").await, "0");
    assert_eq!(load(&client, "COPY k FROM STDIN", b"1\n2\n3", 1).await.unwrap(), 3);
    assert_eq!(value(&client, "SELECT count(*) FROM k").await, "3");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_keeps_copied_rows_until_its_end() {
    let server = Served::start().await;
    let client = server.connect().await;
    let other = server.connect().await;
    client.batch_execute("CREATE TABLE b (a INT, c TEXT)").await.unwrap();
    for (end, rows) in [("ROLLBACK", "0"), ("COMMIT", "3")] {
        client.batch_execute("BEGIN").await.unwrap();
        assert_eq!(load(&client, "COPY b (c, a) FROM STDIN WITH CSV", b"x,1\n\"\",2\n", 2).await.unwrap(), 2);
        assert_eq!(load(&client, "COPY b (a) FROM STDIN", b"3\n", 2).await.unwrap(), 1);
        assert_eq!(value(&client, "SELECT count(*) FROM b").await, "3");
        assert_eq!(value(&other, "SELECT count(*) FROM b").await, "0");
        client.batch_execute(end).await.unwrap();
        assert_eq!(value(&other, "SELECT count(*) FROM b").await, rows);
    }
    let all = fetch(&client, "COPY (SELECT * FROM b ORDER BY a) TO STDOUT").await;
    assert_eq!(&all[..], b"1\tx\n2\t\n3\t\\N\n");
    // A fault aborts the block.
    client.batch_execute("BEGIN").await.unwrap();
    assert!(load(&client, "COPY b (a) FROM STDIN", b"x\n", 2).await.is_err());
    assert!(client.batch_execute("SELECT 1").await.is_err());
    client.batch_execute("ROLLBACK").await.unwrap();
    server.stop().await;
}

/// A slow reader holds the statement back, and rows are as many as were asked for.
#[tokio::test(flavor = "multi_thread")]
async fn rows_out_are_streamed() {
    let server = Served::start().await;
    let client = server.connect().await;
    let sql =
        "COPY (SELECT value, repeat('x', 100) FROM generate_series(1, 200000) AS s(value)) TO STDOUT (FORMAT csv)";
    let mut stream = Box::pin(client.copy_out(sql).await.unwrap());
    let mut bytes = 0;
    while let Some(piece) = stream.next().await {
        bytes += piece.unwrap().len();
    }
    let digits: usize = (1..=200_000_usize).map(|number| number.to_string().len()).sum();
    assert_eq!(bytes, digits + 200_000 * 102);
    server.stop().await;
}
