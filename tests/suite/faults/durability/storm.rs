//! `kill -9` at random moments of statements that rewrite one table, tend it and change its definition.
//!
//! Each statement runs once to its end, which tells how long it takes, then in rounds of kills. After each restart the
//! table is what it was or what the statement makes of it, and its history says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::process::{Process, code, value};

const ROWS: i64 = 20_000;
const COPIED_ROWS: i64 = 4_000;
const SEED: u64 = 0x5eed_0003;
const ROUNDS: u64 = 7;
/// Files of this age are older than any statement to come.
const TICK: Duration = Duration::from_millis(60);

/// What a statement may change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    rows: i64,
    sum: i64,
    columns: usize,
    property: Option<String>,
}

/// A table at its newest version.
#[derive(Clone, Debug)]
struct Found {
    state: State,
    version: i64,
    operation: String,
    metrics: serde_json::Value,
    files: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Merge,
    Optimize,
    AddColumn,
    SetProperties,
    Overwrite,
    Copy,
    Truncate,
    Restore,
    Vacuum,
}

const STEPS: [Step; 9] = [
    Step::Merge,
    Step::Optimize,
    Step::AddColumn,
    Step::SetProperties,
    Step::Overwrite,
    Step::Copy,
    Step::Truncate,
    Step::Restore,
    Step::Vacuum,
];

impl Step {
    /// The statement, and what the history may call it.
    fn sql(self, round: u64, restored: i64) -> (String, &'static [&'static str]) {
        match self {
            Step::Merge => {
                let source = format!("SELECT v AS id FROM generate_series({}, {}) AS g(v)", ROWS / 2, ROWS + ROWS / 10);
                let merge = format!(
                    "MERGE INTO t USING ({source}) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = t.n + 1 \
                     WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, 0)"
                );
                (merge, &["MERGE"])
            }
            Step::Optimize => ("OPTIMIZE t ZORDER BY (n, id)".to_owned(), &["OPTIMIZE"]),
            Step::AddColumn => (format!("ALTER TABLE t ADD COLUMN added_{round} TEXT"), &["ADD COLUMNS", "ADD COLUMN"]),
            Step::SetProperties => {
                (format!("ALTER TABLE t SET TBLPROPERTIES ('round' = '{round}')"), &["SET TBLPROPERTIES"])
            }
            Step::Overwrite => {
                let rows = format!("SELECT v, v % {} FROM generate_series(1, {ROWS}) AS g(v)", 7 + round);
                (format!("INSERT OVERWRITE t (id, n) {rows}"), &["WRITE"])
            }
            Step::Copy => ("COPY t (id, n) FROM STDIN".to_owned(), &["WRITE"]),
            Step::Truncate => ("TRUNCATE t".to_owned(), &["DELETE", "TRUNCATE"]),
            Step::Restore => (format!("RESTORE t TO VERSION AS OF {restored}"), &["RESTORE"]),
            Step::Vacuum => ("VACUUM t RETAIN 0 HOURS".to_owned(), &["VACUUM START", "VACUUM END"]),
        }
    }

    /// What the statement makes of the table.
    async fn outcome(self, client: &Client, before: &State, round: u64, restored: &State) -> State {
        let mut state = before.clone();
        match self {
            Step::Merge => {
                let (least, most) = (ROWS / 2, ROWS + ROWS / 10);
                let matched = "SELECT count(*) AS rows, count(DISTINCT id) AS ids FROM t WHERE id BETWEEN";
                let matched = row(client, &format!("{matched} {least} AND {most}")).await;
                state.sum += number(&matched, "rows");
                state.rows += most - least + 1 - number(&matched, "ids");
            }
            Step::Optimize | Step::Vacuum => {}
            Step::AddColumn => state.columns += 1,
            Step::SetProperties => state.property = Some(round.to_string()),
            Step::Overwrite => {
                state.rows = ROWS;
                state.sum = (1..=ROWS).map(|v| v % i64::try_from(7 + round).unwrap()).sum();
            }
            Step::Copy => {
                state.rows += COPIED_ROWS;
                state.sum += COPIED_ROWS;
            }
            Step::Truncate => (state.rows, state.sum) = (0, 0),
            Step::Restore => state = restored.clone(),
        }
        state
    }

    async fn run(self, client: &Client, sql: &str) -> Result<(), tokio_postgres::Error> {
        match self {
            Step::Copy => {
                let sink = client.copy_in::<_, Bytes>(sql).await?;
                let mut sink = std::pin::pin!(sink);
                for id in 0..COPIED_ROWS {
                    sink.feed(Bytes::from(format!("{id}\t1\n"))).await?;
                }
                sink.finish().await.map(|_| ())
            }
            Step::Vacuum => {
                client.batch_execute("SET vacuum_retention_check = off").await?;
                client.batch_execute(sql).await
            }
            _ => client.batch_execute(sql).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_survives_kills_of_whatever_rewrites_tends_or_redefines_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start(folder.path(), &[]);
    let mut client = server.connect().await;
    let rows = format!("SELECT v AS id, 1::BIGINT AS n, 'row ' || v AS s FROM generate_series(1, {ROWS}) AS g(v)");
    client.batch_execute(&format!("CREATE TABLE t AS {rows}")).await.unwrap();
    let mut random = SEED;
    let mut times = BTreeMap::new();
    let mut ran = vec![];
    let mut halves = [0, 0];
    for round in 0..ROUNDS {
        let first = found(&client).await;
        for step in STEPS {
            if step == Step::Vacuum {
                tokio::time::sleep(TICK).await;
                assert_orphans_are_named(&client, &ran).await;
            }
            let before = found(&client).await;
            let (sql, operations) = step.sql(round, first.version);
            let expected = step.outcome(&client, &before.state, round, &first.state).await;
            let heard = if round == 0 {
                let begun_at = Instant::now();
                step.run(&client, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                times.insert(step, begun_at.elapsed());
                ran.push(sql);
                true
            } else {
                let after = times[&step].mul_f64(1.15 * next(&mut random));
                ran.push(format!("{sql} -- killed after {after:?}"));
                let statement = tokio::spawn(async move { step.run(&client, &sql).await });
                tokio::time::sleep(after).await;
                server.kill();
                let outcome = statement.await.unwrap();
                let refused = outcome.as_ref().err().map(code).unwrap_or_default();
                assert!(refused.is_empty(), "{outcome:?}\n{}", ran.join("\n"));
                let heard = outcome.is_ok();
                server = Process::start(folder.path(), &[]);
                client = server.connect().await;
                heard
            };
            let after = found(&client).await;
            let ran = || format!("heard: {heard}\nbefore: {before:?}\nafter: {after:?}\n{}", ran.join("\n"));
            let is_new = after.version > before.version;
            assert_eq!(after.state, if is_new { expected.clone() } else { before.state.clone() }, "{}", ran());
            assert!(is_new || !heard || expected == before.state, "acknowledged and gone; {}", ran());
            if is_new {
                assert!(operations.contains(&after.operation.as_str()), "{}", ran());
                assert_metrics(step, &before, &after, &ran());
            }
            halves[usize::from(is_new)] += usize::from(round > 0);
        }
    }
    assert!(halves.iter().all(|count| *count > 0), "{halves:?} statements left the old and the new version");
    tokio::time::sleep(TICK).await;
    let before = found(&client).await;
    assert_orphans_are_named(&client, &ran).await;
    Step::Vacuum.run(&client, "VACUUM t RETAIN 0 HOURS").await.unwrap();
    let (files, live) = files(&client).await;
    assert_eq!(files, live, "files after VACUUM, and those of the newest version; {}", ran.join("\n"));
    assert_eq!(found(&client).await.state, before.state);
}

/// A number from 0 to 1 (xorshift).
fn next(random: &mut u64) -> f64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    (*random >> 11) as f64 / (1u64 << 53) as f64
}

async fn found(client: &Client) -> Found {
    let totals = row(client, "SELECT count(*) AS rows, coalesce(sum(n), 0) AS sum FROM t").await;
    let newest = row(client, "DESCRIBE HISTORY t LIMIT 1").await;
    let detail = row(client, "DESCRIBE DETAIL t").await;
    let properties: serde_json::Value = serde_json::from_str(&detail["properties"]).unwrap();
    Found {
        state: State {
            rows: number(&totals, "rows"),
            sum: number(&totals, "sum"),
            columns: rows(client, "DESCRIBE t").await.len(),
            property: properties["round"].as_str().map(str::to_owned),
        },
        version: number(&newest, "version"),
        operation: newest["operation"].clone(),
        metrics: serde_json::from_str(&newest["operation_metrics"]).unwrap(),
        files: number(&detail, "num_files"),
    }
}

/// The newest version's own words agree with its rows and files.
fn assert_metrics(step: Step, before: &Found, after: &Found, ran: &str) {
    let metric = |name: &str| after.metrics[name].as_i64().unwrap_or_else(|| panic!("no {name}; {ran}"));
    let (rows, files) = (after.state.rows - before.state.rows, after.files - before.files);
    match step {
        Step::Merge | Step::Overwrite | Step::Truncate => {
            assert_eq!(metric("numInsertedRows") - metric("numDeletedRows"), rows, "{ran}");
            assert_eq!(metric("numAddedFiles") - metric("numRemovedFiles"), files, "{ran}");
        }
        Step::Copy => assert_eq!((metric("numOutputRows"), metric("numFiles")), (rows, files), "{ran}"),
        Step::Optimize => assert_eq!(metric("numAddedFiles") - metric("numRemovedFiles"), files, "{ran}"),
        Step::Restore => assert_eq!(metric("numRestoredFiles") - metric("numRemovedFiles"), files, "{ran}"),
        Step::AddColumn | Step::SetProperties | Step::Vacuum => assert_eq!(files, 0, "{ran}"),
    }
}

/// A dry run names the files of the folder that the newest version doesn't, all of them and no others.
async fn assert_orphans_are_named(client: &Client, ran: &[String]) {
    client.batch_execute("SET vacuum_retention_check = off").await.unwrap();
    let named = rows(client, "VACUUM t RETAIN 0 HOURS DRY RUN").await;
    let named: BTreeSet<PathBuf> = named.iter().map(|row| PathBuf::from(&row["path"])).collect();
    let (files, live) = files(client).await;
    assert!(live.is_subset(&files), "files are missing; {}", ran.join("\n"));
    let orphans: BTreeSet<PathBuf> = files.difference(&live).cloned().collect();
    assert_eq!(named, orphans, "files that VACUUM names, and those that no version does; {}", ran.join("\n"));
}

/// The files in the table's folder but for those of its log, and those that the newest version names. What a write has
/// begun in the log and not ended isn't the log's.
async fn files(client: &Client) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    let folder = table_folder(client).await;
    let mut files = listed(&folder);
    let log = listed(&folder.join("_delta_log"));
    files.extend(log.iter().filter(|path| is_upload(path)).cloned());
    let entries = log.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let text: String = entries.map(|entry| std::fs::read_to_string(entry).unwrap() + "\n").collect();
    let mut live = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let action: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(path) = action["remove"]["path"].as_str() {
            live.remove(&folder.join(path));
        }
        if let Some(path) = action["add"]["path"].as_str() {
            live.insert(folder.join(path));
        }
    }
    (files, live)
}

async fn table_folder(client: &Client) -> PathBuf {
    let location = value(client, "SELECT location FROM system.tables WHERE name = 't'").await;
    PathBuf::from(location.trim_start_matches("file://").trim_end_matches('/'))
}

fn is_upload(path: &Path) -> bool {
    path.to_string_lossy().contains('#')
}

fn listed(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

pub(super) async fn rows(client: &Client, sql: &str) -> Vec<BTreeMap<String, String>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let names = row.columns().iter().map(|column| column.name().to_owned());
            Some(names.enumerate().map(|(at, name)| (name, row.get(at).unwrap_or_default().to_owned())).collect())
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

async fn row(client: &Client, sql: &str) -> BTreeMap<String, String> {
    rows(client, sql).await.pop().unwrap_or_else(|| panic!("no row: {sql}"))
}

pub(super) fn number(row: &BTreeMap<String, String>, name: &str) -> i64 {
    row[name].parse().unwrap_or_else(|error| panic!("{name} of {row:?}: {error}"))
}

/// A long write has its file's name and a number on it until it is whole. What a kill leaves of it is an orphan too.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_cut_short_by_a_kill_is_named_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t AS SELECT 1.0::FLOAT8 AS a, 2.0::FLOAT8 AS b").await.unwrap();
    let table = table_folder(&client).await;
    // Numbers that don't compress, and more than a row group of them.
    let insert = "INSERT INTO t SELECT random(), random() FROM generate_series(1, 4000000)";
    let statement = tokio::spawn(async move { client.batch_execute(insert).await });
    let begun_at = Instant::now();
    while !listed(&table).iter().any(|path| is_upload(path)) {
        assert!(!statement.is_finished(), "the write had no upload");
        assert!(begun_at.elapsed() < Duration::from_secs(60), "no upload begins");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.kill();
    assert!(statement.await.unwrap().is_err());
    assert!(listed(&table).iter().any(|path| is_upload(path)), "the upload was over");
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    tokio::time::sleep(TICK).await;
    assert_orphans_are_named(&client, &[insert.to_owned()]).await;
    client.batch_execute("VACUUM t RETAIN 0 HOURS").await.unwrap();
    let (files, live) = files(&client).await;
    assert_eq!(files, live);
    assert_eq!(value(&client, "SELECT sum(b) FROM t").await, "2");
}
