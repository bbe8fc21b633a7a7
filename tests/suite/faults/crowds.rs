//! Many clients at once, and clients that aren't any.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{Process, code, value};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_connections_work_and_one_too_many_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let first = server.connect().await;
    first.batch_execute("CREATE TABLE t AS SELECT v AS a FROM generate_series(1, 1000) AS t(v)").await.unwrap();
    let mut clients = vec![first];
    for _ in 0..20 {
        let more = futures::future::join_all((0..10).map(|_| server.connect()));
        clients.extend(more.await);
    }
    let sums = clients.iter().map(|client| async {
        let sql = "SELECT sum(a)::bigint FROM t WHERE a > $1";
        (value(client, "SELECT 1").await, client.query_one(sql, &[&0_i64]).await.unwrap().get::<_, i64>(0))
    });
    for (one, sum) in futures::future::join_all(sums).await {
        assert_eq!((one.as_str(), sum), ("1", 500_500));
    }
    while clients.len() < 250 {
        clients.push(server.connect().await);
    }
    let error = server.try_connect().await.err().unwrap();
    assert_eq!(code(&error), "53300");
    clients.truncate(240);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(value(&server.connect().await, "SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_port_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let bystander = server.connect().await;
    let mut offered = vec![
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        // A TLS client's first words.
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[7; 505]].concat(),
        // Half a start-up packet, and lengths that nobody has.
        b"\0\0\0\x29\0\x03\0\0user\0".to_vec(),
        b"\x7f\xff\xff\xff\0\x03\0\0".to_vec(),
        b"\xff\xff\xff\xff\0\x03\0\0".to_vec(),
        b"\0\0\0\0".to_vec(),
        b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x08\x04\xd2\x16\x2f".to_vec(),
        // A cancel request for nobody.
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02".to_vec(),
        vec![],
    ];
    let mut state = 88_172_645_463_325_252_u64;
    for length in [1_usize, 3, 9, 300, 70_000] {
        let noise = (0..length).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        offered.push(noise.collect());
    }
    let started = b"\0\0\0\x14\0\x03\0\0user\0tester\0\0";
    for message in [&b"Q\0\0\0\0"[..], b"Q\x7f\xff\xff\xff", b"\0\0\0\0\0\0", b"B\0\0\0\x08\0\0\0\0", b"P\0\0\0\x05x"] {
        let length = (started.len() as u32 + 1).to_be_bytes();
        offered.push([&length[..], &started[4..], b"\0", message].concat());
    }
    let mut held = vec![];
    for bytes in offered {
        let mut socket = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        // The server may have closed already.
        let _ = socket.write_all(&bytes).await;
        let _ = tokio::time::timeout(Duration::from_millis(50), socket.read(&mut [0; 64])).await;
        held.push(socket);
        assert_eq!(value(&bystander, "SELECT 1").await, "1", "after {:?}", &bytes[..bytes.len().min(40)]);
    }
    drop(held);
    assert_eq!(value(&server.connect().await, "SELECT 2").await, "2");
}
