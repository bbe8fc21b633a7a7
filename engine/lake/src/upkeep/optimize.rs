//! Fewer and larger files with the same rows, and rows that are asked for together lying together.
//!
//! Files are rewritten through the table's own writer, so that they lie as new rows would. What is committed changes no
//! data: readers of changes see nothing of it, and appends that come between don't collide with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use deltalake::kernel::{Action, Add};
use deltalake::protocol::DeltaOperation;
use futures::{FutureExt, StreamExt, stream};
use serde_json::json;

use super::bins::{Candidate, Group, bins, candidates};
use super::curve;
use crate::change::discard;
use crate::commit::{Entry, Reads, commit};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::layout;
use crate::rules::{Demands, Rules};
use crate::scan::RowScan;
use crate::snapshot::Snapshot;
use crate::writer::{self, Files, Limits, Output};

/// Bins that are rewritten at once.
const BINS_AT_ONCE: usize = 8;
/// A bin becomes one file, also when its rows take a little more than before.
const SLACK: u64 = 2;

/// Which files to rewrite, and how.
#[derive(Clone, Debug, Default)]
pub struct Optimize {
    /// As the log names them; `None` is all.
    pub files: Option<BTreeSet<String>>,
    /// What chose them, for the history.
    pub predicate: Option<String>,
    /// Columns along whose curve rows are ordered; none leaves rows in their order.
    pub order_by: Vec<String>,
    /// Only groups with so many small files are worth it.
    pub small_files_min: usize,
    /// Nobody asked: the history says so.
    pub auto: bool,
}

/// What was rewritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Optimized {
    /// The version with the new files; the one that was read, when nothing was worth it.
    pub version: u64,
    pub files_considered: u64,
    pub partitions: u64,
    pub added: Vec<u64>,
    pub removed: Vec<u64>,
}

impl Lake {
    /// Rewrites small files, files with deleted rows, and with `order_by` all files, partition by partition, and puts
    /// the new in place of the old in one commit. No commit when nothing is worth it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another writer has removed one of the files; [`Error::OutOfMemory`].
    pub async fn optimize(&self, snapshot: &Snapshot, optimize: Optimize, session: &SessionState) -> Result<Optimized> {
        let target_bytes = layout::file_bytes(|key| snapshot.properties().get(key).map(String::as_str))?;
        let all: Vec<Candidate> = candidates(snapshot, optimize.files.as_ref());
        let files_considered = all.len() as u64;
        let groups = bins(all, &optimize, target_bytes);
        let mut outcome = Optimized { version: snapshot.version(), files_considered, ..Optimized::default() };
        if groups.is_empty() {
            return Ok(outcome);
        }
        let file_bytes_max = target_bytes.saturating_mul(SLACK).to_string();
        let rewriting = Rewriting { snapshot, optimize: &optimize, file_bytes_max, session };
        let adds = rewriting.all(&groups).await?;
        let removed: Vec<&Candidate> = groups.iter().flat_map(|group| &group.files).collect();
        outcome.partitions = groups.iter().map(|group| &group.partition).collect::<BTreeSet<_>>().len() as u64;
        outcome.removed = removed.iter().map(|file| file.bytes).collect();
        outcome.added = adds.iter().map(|add| u64::try_from(add.size).unwrap_or_default()).collect();
        let removals = removed.into_iter().map(|file| {
            let mut remove = file.view.remove_action(false);
            remove.data_change = false;
            Action::Remove(remove)
        });
        let paths: Vec<String> = adds.iter().map(|add| add.path.clone()).collect();
        let entry = Entry {
            actions: removals.chain(adds.into_iter().map(Action::Add)).collect(),
            operation: DeltaOperation::Optimize {
                predicate: optimize.predicate.clone(),
                target_size: i64::try_from(target_bytes).unwrap_or(i64::MAX),
            },
            metrics: metrics(&outcome, &optimize),
            reads: Reads::Removed,
        };
        match commit(snapshot, entry).await {
            Ok(version) => Ok(Optimized { version, ..outcome }),
            Err(error) => {
                if matches!(error, Error::Conflict { .. }) {
                    discard(&snapshot.log_store().object_store(None), paths).await;
                }
                Err(error)
            }
        }
    }
}

fn metrics(outcome: &Optimized, optimize: &Optimize) -> serde_json::Value {
    let mut metrics = json!({
        "numAddedFiles": outcome.added.len(),
        "numAddedBytes": outcome.added.iter().sum::<u64>(),
        "numRemovedFiles": outcome.removed.len(),
        "numRemovedBytes": outcome.removed.iter().sum::<u64>(),
        "partitionsOptimized": outcome.partitions,
    });
    if let Some(metrics) = metrics.as_object_mut().filter(|_| !optimize.order_by.is_empty()) {
        metrics.insert("zOrderBy".to_owned(), json!(optimize.order_by));
    }
    if let Some(metrics) = metrics.as_object_mut().filter(|_| optimize.auto) {
        metrics.insert("auto".to_owned(), json!(true));
    }
    metrics
}

/// One statement's rewriting of groups of files.
struct Rewriting<'a> {
    snapshot: &'a Snapshot,
    optimize: &'a Optimize,
    /// As the property that bounds a file would have it.
    file_bytes_max: String,
    session: &'a SessionState,
}

impl Rewriting<'_> {
    /// Several groups at once; those that don't fit into memory together again, one after the other. When one fails,
    /// no file of any stays.
    async fn all(&self, groups: &[Group]) -> Result<Vec<Add>> {
        let ordered = !self.optimize.order_by.is_empty();
        let at_once = if ordered { 1 } else { self.session.config().target_partitions().clamp(1, BINS_AT_ONCE) };
        let work = groups.iter().map(|group| self.one(group).map(move |written| (group, written)).boxed());
        let mut results = stream::iter(work.collect::<Vec<_>>()).buffer_unordered(at_once);
        let (mut adds, mut again, mut failure) = (Vec::new(), Vec::new(), None);
        while let Some((group, result)) = results.next().await {
            match result {
                Ok(written) => adds.extend(written),
                Err(Error::OutOfMemory { .. }) if at_once > 1 => again.push(group),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        drop(results);
        for group in again {
            if failure.is_some() {
                break;
            }
            match self.one(group).await {
                Ok(written) => adds.extend(written),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            None => Ok(adds),
            Some(error) => {
                let paths = adds.into_iter().map(|add| add.path).collect();
                discard(&self.snapshot.log_store().object_store(None), paths).await;
                Err(error)
            }
        }
    }

    async fn one(&self, group: &Group) -> Result<Vec<Add>> {
        let files = self.write(group).await?;
        let mut adds = files.adds;
        if let Some(rows) = group.rows().filter(|rows| *rows != files.rows) {
            let paths = adds.into_iter().map(|add| add.path).collect();
            discard(&self.snapshot.log_store().object_store(None), paths).await;
            let message = format!("files of {rows} rows were read as {} rows; nothing was changed", files.rows);
            return Err(Error::Internal { message });
        }
        for add in &mut adds {
            add.data_change = false;
            add.tags = curve::tags(&self.optimize.order_by);
        }
        Ok(adds)
    }

    async fn write(&self, group: &Group) -> Result<Files> {
        let ordered = !self.optimize.order_by.is_empty();
        let mut session = self.session.clone();
        if !ordered {
            // One stream keeps the rows of a file together and in their order, and the other cores have other groups.
            session.config_mut().options_mut().execution.target_partitions = 1;
        }
        let mut plan = self.rows(group, &session)?;
        if ordered {
            plan = curve::order(plan, &self.optimize.order_by, &session).await?;
        }
        let plan = session.create_physical_plan(&plan).await?;
        let demands = Demands { checks: &[], invariants: &[], generated: &[], ..self.snapshot.demands() };
        let rules = Rules::compile(&demands, &plan.schema(), &session)?;
        let property = |key: &str| match key {
            layout::TARGET_FILE_SIZE if !ordered => Some(self.file_bytes_max.as_str()),
            key => self.snapshot.properties().get(key).map(String::as_str),
        };
        let config = layout::writer_config(rules.written_schema(), &demands, property)?;
        let store = self.snapshot.log_store().object_store(None);
        let limits = Limits { bytes_per_writer: usize::MAX, partitioned_bytes_max: usize::MAX };
        let data = Output { store, config, partitioned: false };
        writer::write(plan, &session, Arc::new(rules), data, None, None, limits).await
    }

    fn rows(&self, group: &Group, session: &SessionState) -> Result<LogicalPlan> {
        let files = group.files.iter().map(|file| file.view.path().into_owned()).collect();
        let provider = self.snapshot.rows(session, RowScan { files: Some(files), ..RowScan::default() })?;
        Ok(LogicalPlanBuilder::scan("rows", provider_as_source(provider), None)?.build()?)
    }
}
