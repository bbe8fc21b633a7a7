//! Random statements that change rows, beside DuckDB and Python's deltalake: `clients/dml_sequences.py` against a server.

use std::process::Command;

use crate::harness::root;
use crate::process::Process;

/// How many sequences run where nobody says otherwise; `DML_SEQUENCES` does.
const SEQUENCES: &str = "30";

#[test]
fn random_sequences_leave_the_rows_that_they_leave_in_duckdb() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(&folder.path().join("data"), &[]);
    let python = std::env::var_os("ALLUVIA_PYTHON").unwrap_or_else(|| root().join(".setup/venv/bin/python").into());
    let or = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.to_string());
    let mut command = Command::new(python);
    command.arg(root().join("tests/clients/dml_sequences.py")).args(["127.0.0.1", &server.port.to_string()]);
    command.arg(folder.path().join("lake"));
    command.args(["--sequences", &or("DML_SEQUENCES", SEQUENCES), "--first", &or("DML_FIRST", "1")]);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (run `make test`)"));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{printed}");
}
