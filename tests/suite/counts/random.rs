//! Statements made up at random, with calls in every place. Each runs as written and with arithmetic in place of its
//! calls: the rows and their types must be the same. Over one table, each distinct call may be asked once per row.
//!
//! `CALLS_SEED=7 CALLS_STATEMENTS=5000 cargo test -p alluvia-tests random` goes further.

use std::panic::AssertUnwindSafe;

use arrow::array::RecordBatch;
use arrow::datatypes::Field;
use futures::FutureExt;

use super::super::calls::{self, ROWS_OF_R, called, computed, distinct_calls};
use super::super::sql::{Sql, shown};
use super::author::{Author, Statement};

const SEED: u64 = 20_261_120;
const STATEMENTS: u64 = 120;

#[tokio::test(flavor = "multi_thread")]
async fn random_statements_give_what_arithmetic_gives() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = number("CALLS_SEED").unwrap_or(SEED);
    let statements = number("CALLS_STATEMENTS").unwrap_or(STATEMENTS);
    let sql = calls::sql().await;
    let mut tally = Tally::default();
    for index in 0..statements {
        let mut author = Author::new(seed.wrapping_add(index));
        let settings = author.settings();
        let statement = author.statement();
        sql.batches(&settings).await;
        sql.asked().await;
        tally.add(seed.wrapping_add(index), &statement, outcome(&sql, &statement).await);
    }
    assert!(tally.wrong.is_empty(), "{} wrong\n{}", tally.wrong.len(), tally.wrong.join("\n"));
    // Statements that DataFusion itself can't run show nothing, so they have to be few; so do empty results.
    assert!(
        tally.refused * 20 <= statements,
        "{} of {statements} don't run:\n{}",
        tally.refused,
        tally.reasons.join("\n")
    );
    assert!(tally.empty * 3 <= statements, "{} of {statements} have no rows", tally.empty);
}

#[derive(Default)]
struct Tally {
    wrong: Vec<String>,
    reasons: Vec<String>,
    refused: u64,
    empty: u64,
}

enum Outcome {
    Same {
        rows: usize,
    },
    /// Not even the arithmetic runs.
    Refused(String),
    Different(String),
}

impl Tally {
    fn add(&mut self, seed: u64, statement: &Statement, outcome: Outcome) {
        match outcome {
            Outcome::Same { rows } => self.empty += u64::from(rows == 0),
            Outcome::Refused(reason) => {
                self.refused += 1;
                self.reasons.push(format!("seed {seed}: {}\n  {reason}", statement.text));
            }
            Outcome::Different(how) => self.wrong.push(format!("seed {seed}: {}\n{how}", statement.text)),
        }
    }
}

async fn outcome(sql: &Sql, statement: &Statement) -> Outcome {
    let called = run(sql, &called(&statement.text)).await;
    let asked: u64 = sql.asked().await.iter().map(|(_, rows, _)| rows).sum();
    let computed = match run(sql, &computed(&statement.text)).await {
        Ok(computed) => computed,
        Err(error) => return Outcome::Refused(error),
    };
    let called = match called {
        Ok(called) => called,
        Err(error) => return Outcome::Different(format!("  fails: {error}")),
    };
    let types = |batches: &[RecordBatch]| {
        let schema = batches.first().map(|batch| batch.schema());
        schema.map(|schema| schema.fields().iter().map(|field| Field::data_type(field).clone()).collect::<Vec<_>>())
    };
    let rows = |batches: &[RecordBatch]| {
        let mut rows = shown(batches);
        if !statement.ordered {
            rows.sort();
        }
        rows
    };
    let (found, right) = (rows(&called), rows(&computed));
    if found != right {
        const SHOWN_MAX: usize = 5;
        let only = |some: &[String], others: &[String]| -> Vec<String> {
            some.iter().filter(|row| !others.contains(row)).take(SHOWN_MAX).cloned().collect()
        };
        let (called, computed) = (only(&found, &right), only(&right, &found));
        let (of_calls, of_arithmetic) = (found.len(), right.len());
        return Outcome::Different(format!(
            "  called   {of_calls} rows, {called:?}\n  computed {of_arithmetic} rows, {computed:?}"
        ));
    }
    let (of_calls, of_arithmetic) = (types(&called), types(&computed));
    if !found.is_empty() && of_calls != of_arithmetic {
        return Outcome::Different(format!("  called   {of_calls:?}\n  computed {of_arithmetic:?}"));
    }
    let asked_max = distinct_calls(&statement.text) * ROWS_OF_R;
    if statement.one_table && asked > asked_max {
        return Outcome::Different(format!("  asked {asked} times, where {asked_max} is enough"));
    }
    Outcome::Same { rows: found.len() }
}

/// DataFusion panics on some statements; the others are to run all the same.
async fn run(sql: &Sql, statement: &str) -> Result<Vec<RecordBatch>, String> {
    match AssertUnwindSafe(sql.run(statement)).catch_unwind().await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("panics".to_owned()),
    }
}
