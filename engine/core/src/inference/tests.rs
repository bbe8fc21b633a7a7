//! Model calls through SQL: what they return, and how often the model was asked. Graphs of a few nodes, written out
//! here as ONNX, stand for models; a Delta table stands for data.

/// Calls in every place where an expression may stand.
mod counts;
/// Failing rows, NULL, casts, refusals.
mod errors;
/// What DataFusion's own ways would get wrong.
mod findings;
/// ONNX files, byte by byte.
mod graphs;
/// Statements with calls against the same statements with arithmetic.
mod same;
/// Texts: the embedding model that `make setup` brings.
mod texts;

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use tempfile::TempDir;

use crate::engine::{Engine, EngineConfig};
use crate::error::{Error, Result};
use crate::inference::UsageRow;
use crate::session::Session;

struct Bench {
    engine: Arc<Engine>,
    session: Session,
    folder: TempDir,
}

/// What a statement asked of the models: name, rows, distinct rows; by name.
type Asked = Vec<(String, u64, u64)>;

impl Bench {
    /// Models `double`, `negative` (one number in, one out), `add` (a, b), `parse` (text to number, fails on words),
    /// and the table `points`: id and v are 1 to 6, k is 0 or 1, word is NULL for id 6.
    async fn new() -> Bench {
        Self::with(|_| {}).await
    }

    async fn with(configure: impl FnOnce(&mut EngineConfig)) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.setup");
        let library = if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" };
        let mut config = EngineConfig::new(folder.path().join("data"));
        config.onnxruntime = std::env::var_os("ALLUVIA_ONNXRUNTIME")
            .map(Into::into)
            .or_else(|| Some(setup.join("onnxruntime").join(library)));
        config.model_dirs = vec![setup.join("models")];
        configure(&mut config);
        let engine = Engine::open(config).await.unwrap();
        let session = engine.session("ada", "alluvia").unwrap();
        let bench = Bench { engine, session, folder };
        for (name, bytes) in graphs::all() {
            let path = bench.folder.path().join(format!("{name}.onnx"));
            std::fs::write(&path, bytes).unwrap();
            bench.run(&format!("CREATE MODEL {name} FROM '{}'", path.display())).await.unwrap();
        }
        bench.run("CREATE TABLE points (id INT, v DOUBLE, k INT, word TEXT)").await.unwrap();
        bench
            .run(
                "INSERT INTO points VALUES (1, 1, 1, '10'), (2, 2, 0, '20'), (3, 3, 1, 'ten'), (4, 4, 0, '40'), \
                 (5, 5, 1, '10'), (6, 6, 0, NULL)",
            )
            .await
            .unwrap();
        bench
    }

    async fn run(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let mut batches = vec![];
        for statement in self.session.parse(sql)? {
            let prepared = self.session.prepare(statement, &[]).await?;
            let execution = self.session.execute(&prepared, vec![]).await?;
            batches = execution.stream.try_collect().await.map_err(Error::from)?;
        }
        Ok(batches)
    }

    /// The rows as text, cells parted by `|`.
    async fn rows(&self, sql: &str) -> Vec<String> {
        let batches = self.run(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        batches.iter().flat_map(shown).collect()
    }

    /// The rows, and what the statement asked of the models.
    async fn counted(&self, sql: &str) -> (Vec<String>, Asked) {
        let before = self.engine.usage.rows().len();
        let rows = self.rows(sql).await;
        let mut asked: Asked = self.engine.usage.rows()[before..]
            .iter()
            .map(|row| (row.model.clone(), row.rows, row.distinct_rows))
            .collect();
        asked.sort();
        (rows, asked)
    }

    async fn check(&self, sql: &str, rows: &[&str], asked: &[(&str, u64, u64)]) {
        let (found, counts) = self.counted(sql).await;
        assert_eq!(found, rows, "{sql}");
        let asked: Asked = asked.iter().map(|(model, rows, distinct)| (model.to_string(), *rows, *distinct)).collect();
        assert_eq!(counts, asked, "{sql}");
    }

    async fn error(&self, sql: &str) -> Error {
        match self.run(sql).await {
            Ok(batches) => panic!("{sql} gave {:?}", batches.iter().flat_map(shown).collect::<Vec<_>>()),
            Err(error) => error,
        }
    }

    fn usage(&self) -> UsageRow {
        self.engine.usage.rows().pop().unwrap()
    }
}

fn shown(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let cell = |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(cell).collect()
}
