//! One session on an engine of its own: statements in; rows as text, and what they asked of the models, out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use alluvia_core::{Engine, Error, Session};
use alluvia_server::protocol::cells::cells;
use alluvia_server::protocol::encode::{EncodeOptions, Format, RowEncoder};
use alluvia_server::sqlstate::SqlState;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::BytesMut;
use datafusion::common::ScalarValue;
use futures::TryStreamExt;
use tempfile::TempDir;

use super::harness;

pub struct Sql {
    folder: TempDir,
    pub engine: Arc<Engine>,
    pub session: Session,
    /// The newest query whose use of models was looked at.
    seen: AtomicI64,
}

/// What a statement asked of a model: its name, the rows that reached a call, and the inputs that were sent.
pub type Asked = Vec<(String, u64, u64)>;

impl Sql {
    pub async fn new() -> Self {
        let (folder, engine) = harness::engine().await;
        let session = engine.session("tester", "alluvia").unwrap();
        Self { folder, engine, session, seen: AtomicI64::new(0) }
    }

    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Runs every statement of a text and gives the last one's rows.
    pub async fn run(&self, sql: &str) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = vec![];
        for statement in self.session.parse(sql)? {
            let prepared = self.session.prepare(statement, &[]).await?;
            let execution = self.session.execute(&prepared, vec![]).await?;
            batches = execution.stream.try_collect().await?;
        }
        Ok(batches)
    }

    /// Runs one statement with parameters.
    pub async fn run_with(&self, sql: &str, parameters: Vec<ScalarValue>) -> Vec<RecordBatch> {
        let types: Vec<Option<DataType>> = parameters.iter().map(|value| Some(value.data_type())).collect();
        let statement = self.session.parse(sql).unwrap().remove(0);
        let prepared = self.session.prepare(statement, &types).await.unwrap();
        let execution = self.session.execute(&prepared, parameters).await.unwrap();
        execution.stream.try_collect().await.unwrap()
    }

    pub async fn batches(&self, sql: &str) -> Vec<RecordBatch> {
        self.run(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"))
    }

    /// The rows as text, cells parted by `|`.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        shown(&self.batches(sql).await)
    }

    /// The cells of one column as PostgreSQL's text form has them.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let batches = self.batches(sql).await;
        let Some(first) = batches.first() else { return vec![] };
        let options = EncodeOptions::default();
        let encoder = RowEncoder::new(&first.schema(), &[Format::Text], &options).unwrap();
        let mut bytes = BytesMut::new();
        for batch in &batches {
            encoder.encode(batch, 0..batch.num_rows(), &mut bytes).unwrap();
        }
        let rows = cells(&bytes).unwrap();
        rows.iter().map(|row| row[0].as_deref().unwrap_or("NULL").to_owned()).collect()
    }

    pub async fn check(&self, sql: &str, rows: &[&str]) {
        assert_eq!(self.rows(sql).await, rows, "{sql}");
    }

    /// The error as a client sees it, its SQLSTATE first.
    pub async fn error(&self, sql: &str) -> String {
        match self.run(sql).await {
            Ok(batches) => panic!("{sql} gave {:?}", shown(&batches)),
            Err(error) => format!("{} {error}", SqlState::from(error.kind).0),
        }
    }

    /// Imports a model of the repository.
    pub async fn create_model(&self, name: &str, path: &str) {
        self.batches(&format!("CREATE MODEL {name} FROM '{}'", harness::root().join(path).display())).await;
    }

    /// The use of models since this was last asked, by the name of the model. Several statements are one.
    pub async fn asked(&self) -> Asked {
        let seen = self.seen.load(Ordering::Relaxed);
        let sql = format!(
            "SELECT model, CAST(sum(rows) AS TEXT), CAST(sum(distinct_rows) AS TEXT), max(query_id) \
             FROM system.inference_usage WHERE query_id > {seen} GROUP BY model ORDER BY model"
        );
        let batches = self.batches(&sql).await;
        for batch in &batches {
            let queries = batch.column(3).as_primitive::<Int64Type>();
            self.seen.fetch_max(queries.values().iter().copied().max().unwrap_or(0), Ordering::Relaxed);
        }
        let number = |cell: Option<&str>| cell.unwrap().parse().unwrap();
        let row = |row: String| {
            let mut cells = row.split('|');
            (cells.next().unwrap().to_owned(), number(cells.next()), number(cells.next()))
        };
        shown(&batches).into_iter().map(row).collect()
    }
}

/// Rows as text. Two numbers look alike only when they are the same.
pub fn shown(batches: &[RecordBatch]) -> Vec<String> {
    batches.iter().flat_map(rows_of).collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let cell = |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(cell).collect()
}
