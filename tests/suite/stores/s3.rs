//! moto's server on a free port, and what lies in it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::root;

pub const BUCKET: &str = "lake";

/// A running S3 server with an empty bucket; killed when dropped.
pub struct S3 {
    child: Child,
    pub port: u16,
}

impl S3 {
    pub async fn start() -> S3 {
        let python = root().join(".setup/venv/bin/python");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto's server could not be started: run `make setup-test`");
        let mut s3 = S3 { child, port };
        let started_at = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(s3.child.try_wait().unwrap().is_none(), "moto's server ended: run `make setup-test`");
            assert!(started_at.elapsed() < Duration::from_secs(60), "moto's server doesn't accept");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        s3.request("PUT", &format!("/{BUCKET}")).await;
        s3
    }

    /// The names of all objects that begin with `prefix`.
    pub async fn names(&self, prefix: &str) -> Vec<String> {
        let listing = self.request("GET", &format!("/{BUCKET}?list-type=2&max-keys=1000&prefix={prefix}")).await;
        let keys = listing.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        keys.map(str::to_owned).collect()
    }

    /// The entries in the log of the table at `prefix`.
    pub async fn entries(&self, prefix: &str) -> usize {
        let names = self.names(&format!("{prefix}/_delta_log/")).await;
        names.iter().filter(|name| name.ends_with(".json") && !name.contains("checkpoint")).count()
    }

    async fn request(&self, method: &str, target: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{method} {target}: {answer}");
        answer
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A secret for the bucket behind `port`.
pub fn secret(port: u16, more: &str) -> String {
    format!(
        "CREATE OR REPLACE SECRET lake (TYPE s3, KEY_ID 'test', SECRET 'test', REGION 'us-east-1', \
         ENDPOINT 'http://127.0.0.1:{port}', SCOPE 's3://{BUCKET}'{more})"
    )
}
