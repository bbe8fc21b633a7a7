//! What ran: rows of `system.inference_usage`, and the operator's metrics in EXPLAIN ANALYZE.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use alluvia_inference::RunStats;
use chrono::{DateTime, Utc};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, Time};
use parking_lot::Mutex;

/// One statement's use of one model. It grows while the statement runs.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRow {
    pub query_id: u64,
    /// When the statement first used the model.
    pub at: DateTime<Utc>,
    pub user: String,
    pub model: String,
    pub sha256: String,
    /// The device the model ran on; for `auto`, the one it took.
    pub device: String,
    /// Rows that reached a call.
    pub rows: u64,
    /// Inputs among them that were sent to the model: neither NULL nor equal to another of their window.
    pub distinct_rows: u64,
    /// Runs of the model's graph.
    pub runs: u64,
    pub input_tokens: u64,
    /// Token slots computed, padding included.
    pub padded_tokens: u64,
    /// Rows cut to the model's longest input.
    pub truncated_rows: u64,
    pub errors: u64,
    pub queue_ms: f64,
    pub run_ms: f64,
}

/// The newest rows of usage, in memory.
#[derive(Debug, Default)]
pub struct UsageLog {
    rows: Mutex<VecDeque<UsageRow>>,
}

impl UsageLog {
    /// Older rows are forgotten.
    pub const ROWS_MAX: usize = 10_000;

    /// Adds to the row of the same statement and model, or begins it.
    pub fn record(&self, row: UsageRow) {
        // Statements that run at the same time lie at the end; an older one gets a row of its own.
        const SEARCHED_MAX: usize = 1_000;
        let mut rows = self.rows.lock();
        let same = |own: &&mut UsageRow| {
            own.query_id == row.query_id
                && own.sha256 == row.sha256
                && own.model == row.model
                && own.device == row.device
        };
        if let Some(own) = rows.iter_mut().rev().take(SEARCHED_MAX).find(same) {
            own.add(&row);
            return;
        }
        if rows.len() >= Self::ROWS_MAX {
            rows.pop_front();
        }
        rows.push_back(row);
    }

    /// The oldest first.
    pub fn rows(&self) -> Vec<UsageRow> {
        self.rows.lock().iter().cloned().collect()
    }
}

impl UsageRow {
    fn add(&mut self, other: &UsageRow) {
        self.rows += other.rows;
        self.distinct_rows += other.distinct_rows;
        self.runs += other.runs;
        self.input_tokens += other.input_tokens;
        self.padded_tokens += other.padded_tokens;
        self.truncated_rows += other.truncated_rows;
        self.errors += other.errors;
        self.queue_ms += other.queue_ms;
        self.run_ms += other.run_ms;
    }
}

/// Counts one call's work in one partition, for the log and for EXPLAIN ANALYZE.
pub(super) struct Meter {
    log: Arc<UsageLog>,
    /// Who runs what; its numbers are zero.
    blank: UsageRow,
    rows: Count,
    distinct_rows: Count,
    runs: Count,
    input_tokens: Count,
    padded_tokens: Count,
    truncated_rows: Count,
    errors: Count,
    queue_time: Time,
    run_time: Time,
}

impl Meter {
    /// `owner`: query number and user.
    pub fn new(
        log: Arc<UsageLog>,
        metrics: &ExecutionPlanMetricsSet,
        partition: usize,
        owner: (u64, String),
        model: (&str, &alluvia_inference::Model),
    ) -> Self {
        let count = |name: &'static str| MetricBuilder::new(metrics).counter(name, partition);
        let time = |name: &'static str| MetricBuilder::new(metrics).subset_time(name, partition);
        let (query_id, user) = owner;
        let (name, model) = model;
        let blank = UsageRow {
            query_id,
            at: Utc::now(),
            user,
            model: name.to_owned(),
            sha256: model.sha256().to_owned(),
            device: model.device().to_owned(),
            rows: 0,
            distinct_rows: 0,
            runs: 0,
            input_tokens: 0,
            padded_tokens: 0,
            truncated_rows: 0,
            errors: 0,
            queue_ms: 0.0,
            run_ms: 0.0,
        };
        Self {
            log,
            blank,
            rows: count("rows"),
            distinct_rows: count("distinct_rows"),
            runs: count("runs"),
            input_tokens: count("input_tokens"),
            padded_tokens: count("padded_tokens"),
            truncated_rows: count("truncated_rows"),
            errors: count("errors"),
            queue_time: time("queue_time"),
            run_time: time("run_time"),
        }
    }

    pub fn query_id(&self) -> u64 {
        self.blank.query_id
    }

    /// Rows that reached the call, and inputs about to be sent.
    pub fn asked(&self, rows: usize, distinct_rows: usize) {
        self.rows.add(rows);
        self.distinct_rows.add(distinct_rows);
        self.log.record(UsageRow { rows: rows as u64, distinct_rows: distinct_rows as u64, ..self.blank.clone() });
    }

    /// What sending them cost.
    pub fn answered(&self, stats: &RunStats, cast_errors: usize) {
        let errors = stats.errors + cast_errors as u64;
        for (count, value) in [
            (&self.runs, stats.runs),
            (&self.input_tokens, stats.input_tokens),
            (&self.padded_tokens, stats.padded_tokens),
            (&self.truncated_rows, stats.truncated_rows),
            (&self.errors, errors),
        ] {
            count.add(usize::try_from(value).unwrap_or(usize::MAX));
        }
        self.queue_time.add_duration(milliseconds(stats.queue_ms));
        self.run_time.add_duration(milliseconds(stats.run_ms));
        self.log.record(UsageRow {
            runs: stats.runs,
            input_tokens: stats.input_tokens,
            padded_tokens: stats.padded_tokens,
            truncated_rows: stats.truncated_rows,
            errors,
            queue_ms: stats.queue_ms,
            run_ms: stats.run_ms,
            ..self.blank.clone()
        });
    }

    /// The call failed as a whole, and the statement with it.
    pub fn failed(&self) {
        self.errors.add(1);
        self.log.record(UsageRow { errors: 1, ..self.blank.clone() });
    }
}

fn milliseconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value / 1_000.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(query_id: u64, model: &str, rows: u64) -> UsageRow {
        UsageRow {
            query_id,
            at: Utc::now(),
            user: "ada".into(),
            model: model.into(),
            sha256: model.into(),
            device: "cpu".into(),
            rows,
            distinct_rows: 0,
            runs: 0,
            input_tokens: 0,
            padded_tokens: 0,
            truncated_rows: 0,
            errors: 0,
            queue_ms: 0.0,
            run_ms: 0.5,
        }
    }

    #[test]
    fn a_statement_has_one_row_per_model() {
        let log = UsageLog::default();
        for (query_id, model, rows) in [(1, "a", 2), (1, "b", 3), (1, "a", 5), (2, "a", 7)] {
            log.record(row(query_id, model, rows));
        }
        let seen: Vec<_> = log.rows().iter().map(|row| (row.query_id, row.model.clone(), row.rows)).collect();
        assert_eq!(seen, [(1, "a".into(), 7), (1, "b".into(), 3), (2, "a".into(), 7)]);
        assert_eq!(log.rows()[0].run_ms, 1.0);
    }

    #[test]
    fn the_oldest_rows_are_forgotten() {
        let log = UsageLog::default();
        for query_id in 0..UsageLog::ROWS_MAX as u64 + 5 {
            log.record(row(query_id, "a", 1));
        }
        let rows = log.rows();
        assert_eq!((rows.len(), rows[0].query_id), (UsageLog::ROWS_MAX, 5));
    }
}
