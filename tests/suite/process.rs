//! A server of its own process, for tests that kill it, measure it, or drive it with other programs.
//!
//! It is the `alluvia` that lies beside the test executable's folder (`target/<profile>/alluvia`); `make test` builds it
//! first. Its working directory is the repository's root, because paths in SQL files are relative to it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use super::harness::root;

/// Longest wait for a server to accept, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("alluvia");
    assert!(binary.is_file(), "{} is missing: run `cargo build -p alluvia-server`", binary.display());
    binary
}

fn command(data_dir: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(binary());
    let listen = if options.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] };
    command.current_dir(root()).args(["serve", "--data-dir"]).arg(data_dir).args(listen).args(options);
    command
}

/// Runs a server that isn't meant to start, to its end.
pub fn refused(data_dir: &Path, options: &[&str]) -> Output {
    command(data_dir, options).output().unwrap()
}

/// A running server; killed when dropped.
pub struct Process {
    child: Child,
    pub port: u16,
}

impl Process {
    /// Starts a server and waits until it accepts.
    pub fn start(data_dir: &Path, options: &[&str]) -> Self {
        Self::start_in(data_dir, options, &[])
    }

    /// The same with environment variables.
    pub fn start_in(data_dir: &Path, options: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command(data_dir, options)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server could not be started");
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim_end().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("not the line of a server that is ready: {line:?}"));
        std::thread::spawn(move || output.read_to_end(&mut vec![]));
        Self { child, port }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("tester").dbname("alluvia");
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub async fn connect(&self) -> Client {
        self.try_connect().await.unwrap()
    }

    /// Ends the process as a power cut would: no handler runs.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process to end by itself.
    pub fn wait(mut self) -> ExitStatus {
        let asked_at = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(asked_at.elapsed() < PATIENCE, "the server doesn't end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A figure of /proc/PID/status such as `VmRSS` or `VmHWM`, in MiB; `None` where there is no /proc.
    pub fn memory_mib(&self, name: &str) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib / 1024.0)
    }

    /// Processor time that all its threads have had, in ticks of 10 ms; `None` where there is no /proc.
    pub fn cpu_ticks(&self) -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(user + system)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The SQLSTATE of an error; empty when it isn't the server's.
pub fn code(error: &tokio_postgres::Error) -> String {
    error.code().map(|code| code.code().to_string()).unwrap_or_default()
}

/// Runs statements that return a code, and the rest of what the server said.
pub async fn failure(client: &Client, sql: &str) -> (String, String) {
    match client.batch_execute(sql).await {
        Ok(()) => panic!("no error: {sql}"),
        Err(error) => {
            let said = error.as_db_error().map(|said| {
                format!("{} {} {}", said.message(), said.detail().unwrap_or_default(), said.hint().unwrap_or_default())
            });
            (code(&error), said.unwrap_or_else(|| error.to_string()))
        }
    }
}

/// The one value of a statement's one row, as text.
pub async fn value(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_string()),
        _ => None,
    });
    row.unwrap_or_else(|| panic!("no row: {sql}"))
}
