//! Statements through both protocols, as drivers send them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::{TestServer, field, run, sqlstate};
use tokio_postgres::SimpleQueryMessage;

const SERIES: &str = "SELECT value FROM generate_series(1, 5) AS t(value) ORDER BY value";

#[test]
fn a_text_of_statements_runs_in_turn_and_stops_at_the_first_error() {
    run(async {
        let server = TestServer::start().await;
        let mut raw = server.raw().await;
        raw.send(&[(b'Q', b"SELECT 1; SELECT 'a', 2; SELECT 1/0; SELECT 3\0")]).await;
        let messages = raw.until_ready().await;
        let kinds: String = messages.iter().map(|(kind, _)| *kind as char).collect();
        assert!(kinds.starts_with("TDCTDC"), "{kinds}");
        assert!(kinds.ends_with("EZ"), "{kinds}");
        let error = messages.iter().find(|(kind, _)| *kind == b'E').unwrap();
        assert_eq!(field(error, b'C').as_deref(), Some("22012"));
        assert_eq!(messages[2].1, b"SELECT 1\0");
        assert_eq!(messages.last().unwrap().1, b"I");
    });
}

#[test]
fn empty_texts_and_comments_have_their_own_answer() {
    run(async {
        let server = TestServer::start().await;
        let mut raw = server.raw().await;
        for text in [&b"\0"[..], b"-- nothing\0", b" ; ;\0"] {
            raw.send(&[(b'Q', text)]).await;
            assert_eq!(raw.kinds().await, "IZ");
        }
        raw.send(&[
            (b'P', b"\0\0\0\0"),
            (b'B', b"\0\0\0\0\0\0\0\0"),
            (b'D', b"P\0"),
            (b'E', b"\0\0\0\0\0"),
            (b'S', b""),
        ])
        .await;
        assert_eq!(raw.kinds().await, "12nIZ");
    });
}

#[test]
fn a_text_with_a_syntax_error_runs_nothing() {
    run(async {
        let server = TestServer::start().await;
        let client = server.connect().await;
        let error = client.simple_query("CREATE SCHEMA half_done; SELEKT 1").await.unwrap_err();
        assert_eq!(sqlstate(&error), "42601");
        client.simple_query("CREATE SCHEMA half_done").await.unwrap();
    });
}

#[test]
fn parameters_are_typed_and_results_binary() {
    run(async {
        let server = TestServer::start().await;
        let client = server.connect().await;
        let row = client
            .query_one(
                "SELECT $1::bigint + 1, $2::text || '!', $3::boolean, $4::double precision",
                &[&41_i64, &"hey", &true, &0.5_f64],
            )
            .await
            .unwrap();
        assert_eq!(
            (row.get::<_, i64>(0), row.get::<_, &str>(1), row.get::<_, bool>(2), row.get::<_, f64>(3)),
            (42, "hey!", true, 0.5)
        );
        let row = client.query_one("SELECT $1::bigint", &[&None::<i64>]).await.unwrap();
        assert_eq!(row.get::<_, Option<i64>>(0), None);
        let statement = client.prepare("SELECT 1 + $1::int AS sum").await.unwrap();
        assert_eq!(statement.columns()[0].name(), "sum");
        assert_eq!(statement.params().len(), 1);
        for number in 0..3_i32 {
            assert!(client.query_one(&statement, &[&number]).await.is_ok());
        }
    });
}

#[test]
fn errors_carry_their_sqlstate_and_leave_the_session_usable() {
    run(async {
        let server = TestServer::start().await;
        let client = server.connect().await;
        for (sql, code) in [
            ("SELEC 1", "42601"),
            ("SELECT * FROM no_such_table", "42P01"),
            ("SELECT no_such_column FROM (SELECT 1 AS a) t", "42703"),
            ("SELECT no_such_function(1)", "42883"),
            ("SELECT 1/0", "22012"),
            ("COPY t FROM STDIN", "42P01"),
            ("SET no_such_setting = 1", "42704"),
        ] {
            let error = client.simple_query(sql).await.unwrap_err();
            assert_eq!(sqlstate(&error), code, "{sql}: {error:?}");
            let error = client.query(sql, &[]).await.unwrap_err();
            assert_eq!(sqlstate(&error), code, "{sql}: {error:?}");
        }
        assert!(client.query_one("SELECT 1", &[]).await.is_ok());
    });
}

#[test]
fn an_aborted_transaction_block_refuses_everything_but_its_end() {
    run(async {
        let server = TestServer::start().await;
        let mut raw = server.raw().await;
        for (sql, status) in [
            (&b"BEGIN\0"[..], b"T"),
            (b"SELECT 1/0\0", b"E"),
            (b"SELECT 1\0", b"E"),
            (b"ROLLBACK\0", b"I"),
            (b"SELECT 1\0", b"I"),
        ] {
            raw.send(&[(b'Q', sql)]).await;
            let messages = raw.until_ready().await;
            assert_eq!(messages.last().unwrap().1, status, "{}", String::from_utf8_lossy(sql));
            if sql == b"SELECT 1\0" && status == b"E" {
                assert_eq!(field(&messages[0], b'C').as_deref(), Some("25P02"));
            }
        }
    });
}

#[test]
fn portals_stop_at_their_row_limit_and_go_on() {
    run(async {
        let server = TestServer::start().await;
        let mut raw = server.raw().await;
        let parse = [b"\0", SERIES.as_bytes(), b"\0\0\0"].concat();
        let bind = b"p\0\0\0\0\0\0\0\0";
        let two = b"p\0\0\0\0\x02";
        let all = b"p\0\0\0\0\0";
        raw.send(&[
            (b'P', &parse),
            (b'B', bind),
            (b'E', two),
            (b'E', two),
            (b'E', all),
            (b'E', all),
            (b'S', b""),
            (b'E', all),
            (b'S', b""),
        ])
        .await;
        // The fifth row ends the result; a portal that has ended gives no rows; outside a block it dies at Sync.
        let messages = raw.until_ready().await;
        let kinds: String = messages.iter().map(|(kind, _)| *kind as char).collect();
        assert_eq!(kinds, "12DDsDDsDCCZ");
        let tags: Vec<&[u8]> = messages.iter().filter(|(kind, _)| *kind == b'C').map(|(_, tag)| &tag[..]).collect();
        assert_eq!(tags, [b"SELECT 1\0", b"SELECT 0\0"]);
        let messages = raw.until_ready().await;
        assert_eq!(field(&messages[0], b'C').as_deref(), Some("34000"));
    });
}

#[test]
fn portals_outlive_sync_inside_a_block() {
    run(async {
        let server = TestServer::start().await;
        let mut client = server.connect().await;
        let transaction = client.transaction().await.unwrap();
        let portal = transaction.bind(SERIES, &[]).await.unwrap();
        let mut sizes = vec![];
        loop {
            let rows = transaction.query_portal(&portal, 2).await.unwrap();
            sizes.push(rows.len());
            if rows.len() < 2 {
                break;
            }
        }
        assert_eq!(sizes, [2, 2, 1]);
        transaction.commit().await.unwrap();
    });
}

#[test]
fn an_error_skips_to_sync_and_no_further() {
    run(async {
        let server = TestServer::start().await;
        let mut raw = server.raw().await;
        raw.send(&[
            (b'P', b"\0SELEC\0\0\0"),
            (b'B', b"\0\0\0\0\0\0\0\0"),
            (b'E', b"\0\0\0\0\0"),
            (b'S', b""),
            (b'P', b"s\0SELECT 7\0\0\0"),
            (b'P', b"s\0SELECT 7\0\0\0"),
            (b'S', b""),
            (b'C', b"Ss\0"),
            (b'C', b"Snever_was\0"),
            (b'S', b""),
        ])
        .await;
        assert_eq!(raw.kinds().await, "EZ");
        let messages = raw.until_ready().await;
        assert_eq!(field(&messages[1], b'C').as_deref(), Some("42P05"));
        assert_eq!(raw.kinds().await, "33Z");
    });
}

#[test]
fn discard_all_forgets_prepared_statements() {
    run(async {
        let server = TestServer::start().await;
        let mut raw = server.raw().await;
        raw.send(&[(b'P', b"s\0SELECT 7\0\0\0"), (b'S', b""), (b'Q', b"DISCARD ALL\0"), (b'D', b"Ss\0"), (b'S', b"")])
            .await;
        assert_eq!(raw.kinds().await, "1Z");
        assert!(raw.kinds().await.ends_with("CZ"));
        let messages = raw.until_ready().await;
        assert_eq!(field(&messages[0], b'C').as_deref(), Some("26000"));
    });
}

#[test]
fn start_up_settings_hold_and_wrong_ones_are_refused() {
    run(async {
        let server = TestServer::start().await;
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(server.address.port()).user("tester");
        config.options("-c timezone=Europe/Berlin -c statement_timeout=5s").application_name("probe");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        assert_eq!(connection.parameter("TimeZone"), Some("Europe/Berlin"));
        assert_eq!(connection.parameter("application_name"), Some("probe"));
        assert!(connection.parameter("server_version").unwrap().starts_with("16."));
        drop(client);
        config.options("-c no_such_setting=1");
        assert_eq!(sqlstate(&config.connect(tokio_postgres::NoTls).await.err().unwrap()), "42704");
    });
}

#[test]
fn settings_are_the_connections_own_and_changes_are_reported() {
    run(async {
        let server = TestServer::start().await;
        let (one, two) = (server.connect().await, server.connect().await);
        one.batch_execute("SET TimeZone = 'Europe/Berlin'").await.unwrap();
        for (client, expected) in [(&one, "Europe/Berlin"), (&two, "UTC")] {
            let messages = client.simple_query("SHOW TimeZone").await.unwrap();
            let zone = messages.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_string),
                _ => None,
            });
            assert_eq!(zone.as_deref(), Some(expected));
        }
        let mut raw = server.raw().await;
        raw.send(&[(b'Q', b"SET application_name = 'probe'\0")]).await;
        let messages = raw.until_ready().await;
        assert!(messages.contains(&(b'S', b"application_name\0probe\0".to_vec())), "{messages:?}");
    });
}

#[test]
fn a_large_result_comes_whole() {
    run(async {
        let server = TestServer::start().await;
        let client = server.connect().await;
        let rows = client.query("SELECT value FROM generate_series(1, 300000) AS t(value)", &[]).await.unwrap();
        let sum: i64 = rows.iter().map(|row| row.get::<_, i64>(0)).sum();
        assert_eq!((rows.len(), sum), (300_000, 45_000_150_000));
    });
}
