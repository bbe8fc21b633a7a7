//! One server on which `sql/demo` has been run by psql; then each driver asks it for what `cases.json` expects.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::harness::root;
use crate::process::Process;

/// Difference that two single-precision computations may have.
const TOLERANCE: f64 = 1e-6;

#[tokio::test(flavor = "multi_thread")]
async fn every_driver_runs_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    demo(&server).await;
    let python = root().join(".setup/venv/bin/python");
    let (node, modules) = (Path::new("node"), root().join(".setup/node/node_modules"));
    for (program, script, modules) in [
        (python.as_path(), "psycopg_client.py", None),
        (python.as_path(), "asyncpg_client.py", None),
        (node, "pg_client.cjs", Some(modules.as_path())),
    ] {
        let mut command = Command::new(program);
        command.arg(root().join("tests/clients").join(script)).args(["127.0.0.1", &server.port.to_string()]);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(modules) = modules {
            assert!(modules.is_dir(), "the node driver is missing: run `make test`");
            command.env("NODE_PATH", modules);
        }
        succeed(&mut command);
    }
    cases(&server.connect().await).await;
}

/// Runs `sql/demo`: by psql, or by tokio-postgres where there is no psql.
async fn demo(server: &Process) {
    let mut files: Vec<_> =
        std::fs::read_dir(root().join("sql/demo")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let with_psql = Command::new("psql").arg("--version").output().is_ok();
    if !with_psql {
        eprintln!("psql is not on PATH: its part is left out");
    }
    for file in files {
        if with_psql {
            let port = server.port.to_string();
            let address = ["-h", "127.0.0.1", "-p", &port, "-U", "alluvia", "-d", "alluvia"];
            let options = ["-X", "-v", "ON_ERROR_STOP=1", "-f"];
            succeed(Command::new("psql").current_dir(root()).args(address).args(options).arg(&file));
        } else {
            server.connect().await.batch_execute(&std::fs::read_to_string(&file).unwrap()).await.unwrap();
        }
    }
    if with_psql {
        psql_variables(server);
    }
}

/// psql has parameters too: variables that it quotes itself.
fn psql_variables(server: &Process) {
    let sql =
        "SELECT id, predicted FROM demo.cancer_predictions WHERE id <= :last AND diagnosis = :'wanted' ORDER BY id";
    let port = server.port.to_string();
    let mut command = Command::new("sh");
    command.args(["-c", "printf '%s;\\n' \"$0\" | psql -X -A -t -v last=7 -v wanted=malignant \"$1\"", sql]);
    let output = succeed(command.arg(format!("host=127.0.0.1 port={port} user=alluvia dbname=alluvia")));
    assert!(output.starts_with("2|malignant\n3|malignant\n"), "{output}");
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (run `make test`)"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// The same cases through tokio-postgres: everything in binary, prepared and not.
async fn cases(client: &Client) {
    let text = std::fs::read_to_string(root().join("tests/clients/cases.json")).unwrap();
    for case in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
        let sql = case["sql"].as_str().unwrap();
        let parameters: Vec<Json> = case["parameters"].as_array().unwrap().iter().cloned().map(Json).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
        let prepared = client.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        for _ in 0..2 {
            let rows = client.query(&prepared, &parameters).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            let found = Value::Array(rows.iter().map(shown).collect());
            assert!(same(&found, &case["rows"]), "{sql}\n  expected {}\n  found    {found}", case["rows"]);
        }
    }
}

fn shown(row: &Row) -> Value {
    Value::Array((0..row.len()).map(|column| row.get::<_, Json>(column).0).collect())
}

fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| same(found, expected))
        }
        (Value::Number(found), Value::Number(expected)) => match (found.as_f64(), expected.as_f64()) {
            (Some(found), Some(expected)) => (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
            _ => false,
        },
        _ => found == expected,
    }
}

/// A JSON value that goes as whatever type the server asks for, and comes from whatever type it sends.
#[derive(Debug)]
struct Json(Value);

type Failure = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Json {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> Result<tokio_postgres::types::IsNull, Failure> {
        let value = &self.0;
        if value.is_null() {
            return Ok(tokio_postgres::types::IsNull::Yes);
        }
        let missing = || format!("{value} doesn't go as {ty}");
        let floats = || value.as_array().map(|values| values.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
        match *ty {
            Type::BOOL => value.as_bool().ok_or_else(missing)?.to_sql(ty, out),
            Type::INT4 => i32::try_from(value.as_i64().ok_or_else(missing)?)?.to_sql(ty, out),
            Type::INT8 => value.as_i64().ok_or_else(missing)?.to_sql(ty, out),
            Type::FLOAT4 => (value.as_f64().ok_or_else(missing)? as f32).to_sql(ty, out),
            Type::FLOAT8 => value.as_f64().ok_or_else(missing)?.to_sql(ty, out),
            Type::TEXT => value.as_str().ok_or_else(missing)?.to_sql(ty, out),
            Type::FLOAT4_ARRAY => {
                floats().ok_or_else(missing)?.iter().map(|value| *value as f32).collect::<Vec<_>>().to_sql(ty, out)
            }
            _ => Err(missing().into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

impl<'a> FromSql<'a> for Json {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Json(match *ty {
            Type::BOOL => bool::from_sql(ty, raw)?.into(),
            Type::INT2 => i16::from_sql(ty, raw)?.into(),
            Type::INT4 => i32::from_sql(ty, raw)?.into(),
            Type::INT8 => i64::from_sql(ty, raw)?.into(),
            Type::FLOAT4 => f32::from_sql(ty, raw)?.into(),
            Type::FLOAT8 => f64::from_sql(ty, raw)?.into(),
            Type::TEXT => String::from_sql(ty, raw)?.into(),
            Type::FLOAT4_ARRAY => Vec::<f32>::from_sql(ty, raw)?.into(),
            _ => return Err(format!("no case expects {ty}").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Json(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
