//! The lake by its public surface, each file a subject; this one holds what they share.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use tempfile::TempDir;
use url::Url;

use crate::{Lake, Result, Snapshot, TableSpec, Written};

mod alter;
mod bulk;
mod changes;
mod constraints;
mod creation;
mod failures;
mod foreign;
mod opened;
mod pruning;
mod reading;
mod scans;
mod upkeep;
mod values;

/// A lake in a folder of its own, with a session that sees its tables by name.
struct Place {
    folder: TempDir,
    lake: Lake,
    context: SessionContext,
}

impl Place {
    fn new() -> Place {
        Place::with_partitions(2)
    }

    fn with_partitions(partitions: usize) -> Place {
        let config = SessionConfig::new().with_target_partitions(partitions).with_batch_size(1024);
        let context = SessionContext::new_with_config(config);
        Place { folder: tempfile::tempdir().unwrap(), lake: Lake::new(), context }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self, name: &str) -> Url {
        Url::from_directory_path(self.path(name)).unwrap()
    }

    fn session(&self) -> SessionState {
        self.context.state()
    }

    async fn plan(&self, sql: &str) -> LogicalPlan {
        self.session().create_logical_plan(sql).await.unwrap()
    }

    /// A spec whose columns are those of a query.
    async fn spec(&self, sql: &str) -> TableSpec {
        TableSpec::of_query(self.plan(sql).await.schema().as_arrow()).unwrap()
    }

    async fn create(&self, name: &str, spec: &TableSpec) {
        self.lake.create(&self.url(name), spec).await.unwrap();
        self.refresh(name).await;
    }

    async fn create_as(&self, name: &str, sql: &str) -> Result<Written> {
        let plan = self.plan(sql).await;
        let spec = TableSpec::of_query(plan.schema().as_arrow())?;
        let written = self.lake.create_as(&self.url(name), &spec, plan, &self.session()).await?;
        self.refresh(name).await;
        Ok(written)
    }

    async fn insert(&self, name: &str, sql: &str) -> Result<Written> {
        let snapshot = self.lake.open(&self.url(name)).await?;
        let written = self.lake.append(&snapshot, self.plan(sql).await, &self.session()).await?;
        self.refresh(name).await;
        Ok(written)
    }

    /// Points the session's table at the newest version.
    async fn refresh(&self, name: &str) {
        let snapshot = self.lake.open(&self.url(name)).await.unwrap();
        let _ = self.context.deregister_table(name);
        self.context.register_table(name, snapshot.provider(&self.session()).unwrap()).unwrap();
    }

    async fn snapshot(&self, name: &str) -> Snapshot {
        self.lake.open(&self.url(name)).await.unwrap()
    }

    async fn rows(&self, sql: &str) -> Vec<RecordBatch> {
        self.context.sql(sql).await.unwrap().collect().await.unwrap()
    }

    async fn check(&self, sql: &str, expected: &str) {
        let shown = pretty_format_batches(&self.rows(sql).await).unwrap().to_string();
        let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
        let lines: Vec<&str> = shown.lines().filter(|line| !line.starts_with("+-")).collect();
        assert_eq!(lines, expected, "\n{shown}");
    }

    async fn count(&self, name: &str) -> i64 {
        let rows = self.rows(&format!("SELECT count(*) FROM {name}")).await;
        let counts = rows[0].column(0).as_any().downcast_ref::<arrow::array::Int64Array>().unwrap();
        counts.value(0)
    }
}

/// Every file below a folder, relative and sorted, log entries left out.
fn data_files(folder: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                files.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut files = Vec::new();
    walk(folder, folder, &mut files);
    files.retain(|file| !file.starts_with("_delta_log"));
    files.sort();
    files
}

/// The actions of one version of a table's log.
fn log_entry(folder: &Path, version: u64) -> Vec<serde_json::Value> {
    let path = folder.join("_delta_log").join(format!("{version:020}.json"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
