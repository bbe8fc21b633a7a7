//! What a server has to stand: foreign bytes, broken messages, crowds, cancelled and abandoned statements, shutdown.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use support::{Raw, TestServer, field, run, sqlstate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

/// Runs for hours.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000000000) AS t(value) WHERE value % 7 = 8";

/// Produces rows without end.
const ENDLESS_ROWS: &str = "SELECT value FROM generate_series(1, 100000000000) AS t(value)";

async fn answers(server: &TestServer) {
    let client = server.connect().await;
    assert!(client.simple_query("SELECT 1").await.is_ok());
}

#[test]
fn garbage_on_the_port_harms_nobody() {
    run(async {
        let server = TestServer::start().await;
        let bystander = server.connect().await;
        let mut state = 88_172_645_463_325_252_u64;
        for length in [1_usize, 4, 7, 8, 9, 100, 5000] {
            for first in [0_u8, 0x16, b'G', b'Q', 0xff] {
                let mut bytes = vec![first];
                while bytes.len() < length {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    bytes.push(state as u8);
                }
                let mut socket = TcpStream::connect(server.address).await.unwrap();
                let _ = socket.write_all(&bytes).await;
            }
        }
        for words in [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], b"\0\0\0\x08\0\x02\0\0"] {
            let mut socket = TcpStream::connect(server.address).await.unwrap();
            socket.write_all(words).await.unwrap();
            let mut answer = vec![];
            let _ = socket.read_to_end(&mut answer).await;
        }
        assert!(bystander.simple_query("SELECT 1").await.is_ok());
        answers(&server).await;
    });
}

#[test]
fn garbage_after_start_up_is_a_protocol_violation() {
    run(async {
        let server = TestServer::start().await;
        for (bytes, code) in [
            (&b"\x01garbage"[..], "08P01"),
            (b"Q\0\0\0\x01", "08P01"),
            (b"Q\x7f\xff\xff\xff", "54000"),
            (b"p\0\0\0\x08abc\0", "08P01"),
        ] {
            let mut raw = server.raw().await;
            raw.socket.write_all(bytes).await.unwrap();
            let message = raw.next().await.unwrap();
            assert_eq!(
                (field(&message, b'S').as_deref(), field(&message, b'C').as_deref()),
                (Some("FATAL"), Some(code))
            );
            assert_eq!(raw.next().await, None);
        }
        answers(&server).await;
    });
}

#[test]
fn broken_messages_are_errors_and_the_connection_goes_on() {
    run(async {
        let server = TestServer::start().await;
        let mut raw = server.raw().await;
        raw.send(&[(b'E', b"\0"), (b'S', b""), (b'Q', b"SELECT '\xff'\0"), (b'F', b"\0\0\0\0"), (b'Q', b"SELECT 1\0")])
            .await;
        for code in ["08P01", "22021", "0A000"] {
            let messages = raw.until_ready().await;
            assert_eq!(field(&messages[0], b'C').as_deref(), Some(code));
        }
        assert_eq!(raw.kinds().await, "TDCZ");
    });
}

#[test]
fn encryption_is_declined_and_newer_protocols_negotiated() {
    run(async {
        let server = TestServer::start().await;
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        for code in [80_877_104_i32, 80_877_103] {
            socket.write_all(&[8_i32.to_be_bytes(), code.to_be_bytes()].concat()).await.unwrap();
            assert_eq!(socket.read_u8().await.unwrap(), b'N');
        }
        let (_, messages) = Raw::start(socket, (3 << 16) | 9999, &[("user", "ada"), ("_pq_.odd", "1")]).await;
        assert_eq!(messages[0].0, b'v');
        assert_eq!(messages[0].1[..4], ((3_i32 << 16) | 2).to_be_bytes());
        // Protocol 3.2 has long secrets: process id and 32 bytes.
        assert_eq!(messages.iter().find(|(kind, _)| *kind == b'K').unwrap().1.len(), 36);
    });
}

#[test]
fn two_hundred_connections_work_at_once() {
    run(async {
        let server = TestServer::start().await;
        let clients = futures::future::join_all((0..200).map(|_| server.connect())).await;
        let sums = futures::future::join_all(clients.iter().map(|client| async {
            client
                .query_one("SELECT sum(value)::bigint FROM generate_series(1, 1000) AS t(value)", &[])
                .await
                .unwrap()
                .get::<_, i64>(0)
        }))
        .await;
        assert!(sums.iter().all(|sum| *sum == 500_500));
    });
}

#[test]
fn one_connection_too_many_is_told_so() {
    run(async {
        let server = TestServer::start_with(|options| options.connections_max = 2).await;
        let (one, two) = (server.connect().await, server.connect().await);
        let error = server.try_connect().await.err().unwrap();
        assert_eq!(sqlstate(&error), "53300");
        drop(one);
        tokio::time::sleep(Duration::from_millis(200)).await;
        answers(&server).await;
        drop(two);
    });
}

#[test]
fn a_cancel_request_ends_the_statement_and_not_the_session() {
    run(async {
        let server = TestServer::start().await;
        let client = server.connect().await;
        let cancel = client.cancel_token();
        for sql in [ENDLESS, ENDLESS_ROWS] {
            let cancelled = async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                cancel.cancel_query(NoTls).await.unwrap();
                Instant::now()
            };
            let (ended, asked_at) = tokio::join!(client.simple_query(sql), cancelled);
            assert_eq!(sqlstate(&ended.unwrap_err()), "57014");
            assert!(asked_at.elapsed() < Duration::from_millis(400), "{:?}", asked_at.elapsed());
            assert!(client.simple_query("SELECT 1").await.is_ok());
        }
    });
}

#[test]
fn a_cancel_request_ends_a_statement_whose_client_does_not_read() {
    run(async {
        let server = TestServer::start().await;
        let mut raw = server.raw().await;
        raw.send(&[(b'Q', format!("{ENDLESS_ROWS}\0").as_bytes())]).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut guessed = raw.key.clone();
        guessed[7] ^= 1;
        Raw::cancel(server.address, &guessed).await;
        for _ in 0..1000 {
            assert_ne!(raw.next().await.unwrap().0, b'E', "a wrong secret cancels nothing");
        }
        Raw::cancel(server.address, &raw.key).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        // What was on its way still comes, and then nothing but the error.
        let mut bytes = 0;
        loop {
            let message = raw.next().await.unwrap();
            bytes += message.1.len();
            if message.0 == b'E' {
                assert_eq!(field(&message, b'C').as_deref(), Some("57014"));
                break;
            }
        }
        assert!(bytes < 100 << 20, "{bytes}");
        assert_eq!(raw.kinds().await, "Z");
    });
}

#[test]
fn statement_timeout_ends_streaming_too() {
    run(async {
        let server = TestServer::start().await;
        let client = server.connect().await;
        client.batch_execute("SET statement_timeout = '300ms'").await.unwrap();
        for sql in [ENDLESS, ENDLESS_ROWS] {
            let begun_at = Instant::now();
            assert_eq!(sqlstate(&client.simple_query(sql).await.unwrap_err()), "57014");
            assert!(begun_at.elapsed() < Duration::from_secs(2), "{:?}", begun_at.elapsed());
        }
    });
}

#[test]
fn a_client_that_hangs_up_takes_its_statement_along() {
    run(async {
        // With one slot, a second session can only begin once the first one's statement is gone.
        let server = TestServer::start_with(|options| options.connections_max = 1).await;
        for sql in [ENDLESS, ENDLESS_ROWS] {
            let mut raw = server.raw().await;
            raw.send(&[(b'Q', format!("{sql}\0").as_bytes())]).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(raw);
            let dropped_at = Instant::now();
            while server.try_connect().await.is_err() {
                assert!(dropped_at.elapsed() < Duration::from_secs(5), "the statement still runs");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(dropped_at.elapsed() < Duration::from_millis(400), "{:?}", dropped_at.elapsed());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
}

#[test]
fn messages_sent_ahead_are_all_answered() {
    run(async {
        let server = TestServer::start().await;
        let mut raw = server.raw().await;
        let query = (b'Q', &b"SELECT 1\0"[..]);
        raw.send(&vec![query; 300]).await;
        for _ in 0..300 {
            assert_eq!(raw.kinds().await, "TDCZ");
        }
    });
}

#[test]
fn shutdown_tells_the_idle_and_waits_for_the_busy() {
    run(async {
        let server = TestServer::start_with(|options| options.shutdown_grace = Duration::from_millis(1500)).await;
        let mut idle = server.raw().await;
        let mut endless = server.raw().await;
        endless.send(&[(b'Q', format!("{ENDLESS}\0").as_bytes())]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun_at = Instant::now();
        server.shutdown.cancel();
        let message = idle.next().await.unwrap();
        assert_eq!(field(&message, b'C').as_deref(), Some("57P01"));
        assert_eq!(idle.next().await, None);
        assert!(begun_at.elapsed() < Duration::from_secs(1));
        let mut message = endless.next().await.unwrap();
        while message.0 != b'E' {
            message = endless.next().await.unwrap();
        }
        assert_eq!(field(&message, b'C').as_deref(), Some("57P01"));
        assert!(begun_at.elapsed() >= Duration::from_millis(1400));
        server.task.await.unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    });
}

#[test]
fn only_loopback_is_listened_on() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let engine = alluvia_core::Engine::open(alluvia_core::EngineConfig::new(directory.path())).await.unwrap();
        let everywhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        let refused = alluvia_server::Server::bind(engine, everywhere).await;
        assert!(matches!(refused, Err(alluvia_server::ListenError::NotLoopback(_))));
    });
}
