//! The `alluvia` command as people and scripts start it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn alluvia(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alluvia")).args(arguments).output().unwrap()
}

fn sql(directory: &Path, format: &str, sql: &str) -> Output {
    alluvia(&["sql", "--data-dir", directory.to_str().unwrap(), "--format", format, "-c", sql])
}

fn serve(directory: &Path) -> (Child, String) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_alluvia"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir", directory.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (server, line)
}

#[test]
fn serve_says_where_it_listens_and_ends_at_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let (mut server, line) = serve(directory.path());
    let address = line.strip_prefix("alluvia is ready on ").unwrap().trim_end();
    assert!(std::net::TcpStream::connect(address).is_ok());

    let beside = sql(directory.path(), "table", "SELECT 1");
    assert_eq!(beside.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&beside.stderr).starts_with("ERROR:  data directory"));

    assert!(Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    server.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!((server.wait().unwrap().code(), rest.as_str()), (Some(0), ""));
}

#[test]
fn serve_fails_closed_off_loopback() {
    let directory = tempfile::tempdir().unwrap();
    let refused = alluvia(&["serve", "--listen", "0.0.0.0:0", "--data-dir", directory.path().to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("not a loopback address") && words.contains("TLS and SCRAM"), "{words}");
    assert!(refused.stdout.is_empty());
}

#[test]
fn unknown_keys_of_the_configuration_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alluvia.toml");
    std::fs::write(&file, "lissten = '127.0.0.1:0'\n").unwrap();
    let refused = alluvia(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("unknown field `lissten`"));
}

#[test]
fn results_are_printed_in_three_formats() {
    let directory = tempfile::tempdir().unwrap();
    let statement = "SELECT 1 AS number, 'a,b' AS text, NULL AS nothing";
    for (format, expected) in [
        ("table", " number | text | nothing \n--------+------+---------\n      1 | a,b  | \n(1 row)\n\n"),
        ("csv", "number,text,nothing\n1,\"a,b\",\n"),
        ("json", "{\"number\":1,\"text\":\"a,b\",\"nothing\":null}\n"),
    ] {
        let printed = sql(directory.path(), format, statement);
        assert!(printed.status.success());
        assert_eq!(String::from_utf8_lossy(&printed.stdout), expected);
    }
    let created = sql(directory.path(), "table", "CREATE SCHEMA notes");
    assert_eq!(String::from_utf8_lossy(&created.stdout), "CREATE SCHEMA\n");
}

#[test]
fn errors_go_to_standard_error_and_end_the_text() {
    let directory = tempfile::tempdir().unwrap();
    let failed = sql(directory.path(), "csv", "SELECT 1 AS one; SELECT * FROM no_such_table; SELECT 2 AS two");
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&failed.stdout), "one\n1\n");
    assert!(String::from_utf8_lossy(&failed.stderr).starts_with("ERROR:  relation \"no_such_table\" does not exist"));
}
