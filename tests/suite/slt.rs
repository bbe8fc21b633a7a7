//! The `.slt` files: each runs twice on a fresh data directory, in process and over the wire, and says the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvia_core::{Engine, Error, Session};
use alluvia_server::protocol::cells::cells;
use alluvia_server::protocol::encode::{EncodeOptions, Format, RowEncoder};
use alluvia_server::sqlstate;
use bytes::BytesMut;
use futures::StreamExt;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use tokio_postgres::SimpleQueryMessage;

use super::harness;

/// Every `.slt` file, in the order of their names.
pub fn files() -> Vec<PathBuf> {
    let mut files = vec![];
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("slt"), &mut files);
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            files.push(path);
        }
    }
}

/// `SLT=models/` runs only the files whose path has that in it.
fn chosen() -> Vec<PathBuf> {
    let wanted = std::env::var("SLT").unwrap_or_default();
    files().into_iter().filter(|file| file.to_string_lossy().contains(&wanted)).collect()
}

/// Files may name what lies in the repository, and a folder of their own.
fn prepared<D: AsyncDB, M: sqllogictest::MakeConnection<Conn = D>>(runner: &mut Runner<D, M>, scratch: &Path) {
    runner.set_var("ROOT".into(), harness::root().to_string_lossy().into_owned());
    runner.set_var("SCRATCH".into(), scratch.to_string_lossy().into_owned());
    runner.add_label("substitution");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_process() {
    for file in chosen() {
        let (folder, engine) = harness::engine().await;
        let mut runner = Runner::new(|| {
            let engine = Arc::clone(&engine);
            async move { InProcess::connect(&engine) }
        });
        prepared(&mut runner, folder.path());
        runner.run_file_async(&file).await.unwrap_or_else(|error| panic!("in process, {}:\n{error}", file.display()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_wire() {
    for file in chosen() {
        let server = harness::Served::start().await;
        let mut runner = Runner::new(|| async { Wire::connect(&server).await });
        prepared(&mut runner, server.data_dir());
        runner.run_file_async(&file).await.unwrap_or_else(|error| panic!("over the wire, {}:\n{error}", file.display()));
        drop(runner);
        server.stop().await;
    }
}

#[derive(Debug)]
struct Failure {
    code: String,
    text: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.code, self.text)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: sqlstate::of(error.kind).to_string(), text: error.to_string() }
    }
}

fn shown(cell: Option<&str>) -> String {
    match cell {
        None => "NULL".to_string(),
        Some("") => "(empty)".to_string(),
        Some(text) => text.to_string(),
    }
}

struct InProcess {
    session: Session,
}

impl InProcess {
    fn connect(engine: &Arc<Engine>) -> Result<Self, Failure> {
        Ok(Self { session: engine.session("tester", "alluvia")? })
    }
}

#[async_trait::async_trait]
impl AsyncDB for InProcess {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let mut output = DBOutput::StatementComplete(0);
        for statement in self.session.parse(sql)? {
            let prepared = self.session.prepare(statement, &[]).await?;
            let mut execution = self.session.execute(&prepared, vec![]).await?;
            let options = EncodeOptions::default();
            let mut encoder = RowEncoder::new(&execution.schema, &[Format::Text], &options).unwrap();
            let mut rows = vec![];
            while let Some(batch) = execution.stream.next().await {
                let batch = batch.map_err(Error::from).inspect_err(|_| self.session.fail())?;
                let mut bytes = BytesMut::new();
                encoder.encode(&batch, 0..batch.num_rows(), &mut bytes).unwrap();
                for row in cells(&bytes).unwrap() {
                    rows.push(row.iter().map(|cell| shown(cell.as_deref().map(|b| std::str::from_utf8(b).unwrap()))).collect());
                }
            }
            output = if execution.returns_rows {
                DBOutput::Rows { types: vec![DefaultColumnType::Any; execution.schema.fields().len()], rows }
            } else {
                let tag = execution.tag.render(0);
                DBOutput::StatementComplete(tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0))
            };
        }
        Ok(output)
    }

    async fn shutdown(&mut self) {
        self.session.close().await;
    }

    fn engine_name(&self) -> &str {
        "alluvia"
    }

    fn error_sql_state(error: &Failure) -> Option<String> {
        Some(error.code.clone())
    }
}

struct Wire {
    client: tokio_postgres::Client,
}

impl Wire {
    async fn connect(server: &harness::Served) -> Result<Self, Failure> {
        Ok(Self { client: server.connect().await })
    }
}

#[async_trait::async_trait]
impl AsyncDB for Wire {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let messages = self.client.simple_query(sql).await.map_err(|error| match error.as_db_error() {
            Some(error) => {
                let mut text = error.message().to_string();
                for (label, part) in [("Detail", error.detail()), ("Hint", error.hint())] {
                    if let Some(part) = part {
                        text.push_str(&format!("\n{label}: {part}"));
                    }
                }
                Failure { code: error.code().code().to_string(), text }
            }
            None => Failure { code: "08000".to_string(), text: error.to_string() },
        })?;
        let mut width = None;
        let mut rows = vec![];
        let mut count = 0;
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => width = Some(columns.len()),
                SimpleQueryMessage::Row(row) => rows.push((0..row.len()).map(|index| shown(row.get(index))).collect()),
                SimpleQueryMessage::CommandComplete(affected) => count = affected,
                _ => {}
            }
        }
        Ok(match width {
            Some(width) => DBOutput::Rows { types: vec![DefaultColumnType::Any; width], rows },
            None => DBOutput::StatementComplete(count),
        })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "alluvia"
    }

    fn error_sql_state(error: &Failure) -> Option<String> {
        Some(error.code.clone())
    }
}
