//! The `.slt` files: each runs twice on a fresh data directory, in process and over the wire, and says the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvia_core::{Copying, Engine, Error, Session};
use alluvia_server::protocol::cells::cells;
use alluvia_server::protocol::copy::files;
use alluvia_server::protocol::encode::{Format, RowEncoder};
use alluvia_server::protocol::settings::encode_options;
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
async fn run<D, M>(runner: &mut Runner<D, M>, file: &Path, scratch: &Path) -> Result<(), String>
where
    D: AsyncDB<ColumnType = DefaultColumnType>,
    M: sqllogictest::MakeConnection<Conn = D>,
{
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.replace("${ROOT}", &harness::root().to_string_lossy());
    let text = text.replace("${SCRATCH}", &scratch.to_string_lossy());
    let name = file.strip_prefix(harness::root()).unwrap().to_string_lossy().into_owned();
    let records = sqllogictest::parse_with_name(&text, name).map_err(|error| error.to_string())?;
    runner.run_multi_async(records).await.map_err(|error| error.to_string())
}

fn report(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} files failed:\n\n{}", failures.len(), failures.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_process() {
    let mut failures = vec![];
    for file in chosen() {
        let (folder, engine) = harness::engine().await;
        let mut runner = Runner::new(|| {
            let engine = Arc::clone(&engine);
            async move { InProcess::connect(&engine) }
        });
        failures.extend(run(&mut runner, &file, folder.path()).await.err());
    }
    report(failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_wire() {
    let mut failures = vec![];
    for file in chosen() {
        let server = harness::Served::start().await;
        let mut runner = Runner::new(|| async { Wire::connect(&server).await });
        failures.extend(run(&mut runner, &file, server.data_dir()).await.err());
        drop(runner);
        server.stop().await;
    }
    report(failures);
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
        Self { code: sqlstate::SqlState::from(error.kind).0.to_string(), text: error.to_string() }
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
            if let Some(copying) = execution.copy.take() {
                let copied = match copying {
                    Copying::ToFile(format, path) => files::write(&self.session, execution, format, &path).await,
                    Copying::FromFile(copy, path) => files::read(&self.session, *copy, &path).await,
                    Copying::Out(_) | Copying::In(_) => panic!("there is no client to COPY with"),
                };
                let copied = copied.inspect_err(|_| self.session.fail());
                let rows =
                    copied.map_err(|report| Failure { code: report.state.0.to_string(), text: report.message })?;
                output = DBOutput::StatementComplete(rows);
                continue;
            }
            let options = encode_options(|name| self.session.setting(name)).unwrap();
            let encoder = RowEncoder::new(&execution.schema, &[Format::Text], &options).unwrap();
            let mut rows = vec![];
            while let Some(batch) = execution.stream.next().await {
                let batch = batch.map_err(Error::from).inspect_err(|_| self.session.fail())?;
                let mut bytes = BytesMut::new();
                encoder.encode(&batch, 0..batch.num_rows(), &mut bytes).unwrap();
                for row in cells(&bytes).unwrap() {
                    rows.push(row.iter().map(|cell| shown(cell.as_deref())).collect());
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
