//! What keeps a table in shape: the same rows before and after, and files that are needed stay.

use std::time::{Duration, SystemTime};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::dataframe::DataFrameWriteOptions;
use deltalake::parquet::basic::Encoding;
use deltalake::parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::{At, Converted, Error, Optimize, Optimized, RowScan, Vacuum};

impl Place {
    async fn optimize(&self, name: &str, optimize: Optimize) -> Optimized {
        let snapshot = self.snapshot(name).await;
        let outcome = self.lake.optimize(&snapshot, optimize, &self.session()).await.unwrap();
        self.refresh(name).await;
        outcome
    }

    async fn vacuum(&self, name: &str, hours: u64, full: bool, dry_run: bool) -> Vec<String> {
        let retention = Duration::from_secs(hours * 3600);
        let vacuum = Vacuum { retention, full, dry_run, oldest_statement: SystemTime::now() };
        let snapshot = self.snapshot(name).await;
        self.lake.vacuum(&snapshot, vacuum, &self.session()).await.unwrap().files
    }

    async fn number(&self, sql: &str) -> i64 {
        self.rows(sql).await[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    async fn parquet(&self, sql: &str, path: &str) {
        let frame = self.context.sql(sql).await.unwrap();
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let options = DataFrameWriteOptions::new().with_single_file_output(true);
        frame.write_parquet(path.to_str().unwrap(), options, None).await.unwrap();
    }
}

/// Makes everything in a table's folder look a month old.
fn age(place: &Place, name: &str) {
    let past = SystemTime::now() - Duration::from_secs(30 * 86_400);
    for file in data_files(&place.path(name)) {
        let file = std::fs::File::options().write(true).open(place.path(name).join(file)).unwrap();
        file.set_modified(past).unwrap();
    }
}

fn by(columns: &[&str]) -> Optimize {
    Optimize { order_by: columns.iter().map(ToString::to_string).collect(), ..Optimize::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_become_one() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n, [value::real] AS v FROM range(1000)").await.unwrap();
    for start in 1..10 {
        let query = format!("SELECT value + {start}000 AS n, [value::real] AS v FROM range(1000)");
        place.insert("t", &query).await.unwrap();
    }
    let outcome = place.optimize("t", Optimize::default()).await;
    assert_eq!((outcome.removed.len(), outcome.added.len(), outcome.version), (10, 1, 10));
    let numbers: Vec<i64> = place
        .rows("SELECT n FROM t")
        .await
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert_eq!(numbers.len(), 10_000);
    assert!(sorted.into_iter().eq((0..10).flat_map(|start| start * 1000..start * 1000 + 1000)));
    // The rows of each file lie together, in their order.
    assert!(numbers.chunks(1000).all(|rows| rows.is_sorted()));
    let again = place.optimize("t", Optimize::default()).await;
    assert_eq!((again.version, again.added.len()), (10, 0));
    for action in log_entry(&place.path("t"), 10) {
        for key in ["add", "remove"] {
            if let Some(file) = action.get(key) {
                assert_eq!(file["dataChange"], false, "{action}");
            }
        }
    }

    // Vectors lie as the table's writer puts them.
    let live = place.snapshot("t").await.files().next().unwrap().path;
    let file = SerializedFileReader::new(std::fs::File::open(place.path("t").join(live)).unwrap()).unwrap();
    let vectors = file.metadata().row_group(0).column(1);
    assert_eq!(vectors.column_path().string(), "v.list.element");
    assert!(vectors.encodings().any(|encoding| encoding == Encoding::BYTE_STREAM_SPLIT));
    assert!(vectors.dictionary_page_offset().is_none() && vectors.statistics().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_beside_a_compaction_stay_and_deletions_conflict() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n FROM range(10)").await.unwrap();
    place.insert("t", "SELECT 10::bigint AS n").await.unwrap();
    let old = place.snapshot("t").await;
    place.insert("t", "SELECT 11::bigint AS n").await.unwrap();
    let outcome = place.lake.optimize(&old, Optimize::default(), &place.session()).await.unwrap();
    assert_eq!(outcome.version, 3);
    place.refresh("t").await;
    assert_eq!(place.number("SELECT sum(n) FROM t").await, 66);
    // The files that `old` would replace are gone by now.
    let error = place.lake.optimize(&old, Optimize::default(), &place.session()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    let left = data_files(&place.path("t"));
    assert_eq!(left.len(), 4, "{left:?}");
    place.refresh("t").await;
    assert_eq!(place.number("SELECT sum(n) FROM t").await, 66);
}

/// Files that may hold a row, by the log's statistics.
async fn files_with(place: &Place, condition: &str) -> usize {
    let snapshot = place.snapshot("t").await;
    let scan = RowScan { file_column: Some("file".into()), ..RowScan::default() };
    let _ = place.context.deregister_table("files");
    place.context.register_table("files", snapshot.rows(&place.session(), scan).unwrap()).unwrap();
    let sql = format!("SELECT count(DISTINCT file) FROM files WHERE {condition}");
    usize::try_from(place.number(&sql).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_curve_brings_rows_together_that_are_close_in_each_column() {
    let place = Place::new();
    let query = "SELECT value AS id, CASE WHEN value % 50 = 0 THEN NULL ELSE value * 7919 % 10000 END AS a,
                        'k' || lpad((value * 104729 % 10000)::text, 5, '0') AS b FROM range(40000)";
    let mut spec = place.spec(query).await;
    spec.properties.insert("delta.targetFileSize".into(), "40kb".into());
    let plan = place.plan(query).await;
    place.lake.create_as(&place.url("t"), &spec, plan, &place.session()).await.unwrap();
    let files = place.snapshot("t").await.files().count();
    assert!(files > 4, "{files}");
    let before = (files_with(&place, "a BETWEEN 100 AND 300").await, files_with(&place, "b < 'k00200'").await);
    assert_eq!(before, (files, files));
    let outcome = place.optimize("t", by(&["a", "b"])).await;
    assert!(outcome.added.len() > 4, "{outcome:?}");
    let after = (files_with(&place, "a BETWEEN 100 AND 300").await, files_with(&place, "b < 'k00200'").await);
    assert!(after.0 * 2 <= outcome.added.len() + 2 && after.1 * 2 <= outcome.added.len() + 2, "{after:?} {outcome:?}");
    let sums = "SELECT count(*) * 1000 + count(a) FROM t";
    assert_eq!(place.number(sums).await, 40_000 * 1000 + 39_200);
    assert_eq!(place.number("SELECT count(DISTINCT id) FROM t").await, 40_000);
    let again = place.optimize("t", by(&["a", "b"])).await;
    assert_eq!(again.version, outcome.version);
    // A row more, and the order is no longer all there is.
    place.insert("t", "SELECT -1::bigint AS id, 5::bigint AS a, 'k' AS b").await.unwrap();
    assert!(place.optimize("t", by(&["a", "b"])).await.version > outcome.version);
    assert_eq!(place.number("SELECT count(*) FROM t").await, 40_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_into_memory_are_ordered_all_the_same() {
    use datafusion::execution::memory_pool::FairSpillPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;

    let place = Place::new();
    let query = "SELECT value AS n, lpad((value * 7919 % 1000000)::text, 40, 'x') AS s FROM range(400000)";
    place.create_as("t", query).await.unwrap();
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(24 << 20)));
    let config = SessionConfig::new().with_target_partitions(1).with_batch_size(1024);
    let context = SessionContext::new_with_config_rt(config, runtime.build_arc().unwrap());
    let snapshot = place.snapshot("t").await;
    match place.lake.optimize(&snapshot, by(&["s", "n"]), &context.state()).await {
        Ok(_) => {}
        Err(error) => assert!(matches!(error, Error::OutOfMemory { .. }), "{error:?}"),
    }
    place.refresh("t").await;
    assert_eq!(place.number("SELECT count(*) FROM t").await, 400_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_version_within_retention_names_stays() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n FROM range(10)").await.unwrap();
    place.insert("t", "SELECT 10::bigint AS n").await.unwrap();
    place.optimize("t", Optimize::default()).await;
    let orphan = "orphan.parquet";
    std::fs::write(place.path("t").join(orphan), b"left behind").unwrap();
    std::fs::create_dir_all(place.path("t").join("_hidden")).unwrap();
    std::fs::write(place.path("t").join("_hidden/file"), b"somebody's").unwrap();
    // All is young.
    assert!(place.vacuum("t", 1, true, true).await.is_empty());
    age(&place, "t");
    // Files of old versions are old, but it is not long since a version named them.
    assert_eq!(place.vacuum("t", 1, true, true).await, [orphan]);
    assert!(place.vacuum("t", 1, false, true).await.is_empty());
    assert_eq!(place.vacuum("t", 0, false, true).await.len(), 2);
    assert_eq!(place.vacuum("t", 0, true, true).await.len(), 3);
    assert_eq!(data_files(&place.path("t")).len(), 5);
    assert_eq!(place.snapshot("t").await.version(), 2);
    // Another table within the folder is not this one's.
    let (plan, spec) = (place.plan("SELECT 1 AS n").await, place.spec("SELECT 1 AS n").await);
    place.lake.create_as(&place.url("t/inner"), &spec, plan, &place.session()).await.unwrap();
    age(&place, "t/inner");
    assert_eq!(place.vacuum("t", 0, true, false).await.len(), 3);
    assert_eq!(data_files(&place.path("t/inner")).len(), 1);
    assert_eq!(place.snapshot("t").await.version(), 4);
    assert_eq!(place.number("SELECT sum(n) FROM t").await, 55);
    assert!(place.path("t/_hidden/file").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_younger_than_the_oldest_statement_stay() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n FROM range(10)").await.unwrap();
    let began = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    place.insert("t", "SELECT 10::bigint AS n").await.unwrap();
    place.optimize("t", Optimize::default()).await;
    std::fs::write(place.path("t/under-way.parquet"), b"not yet committed").unwrap();
    let vacuum = |oldest_statement| Vacuum { retention: Duration::ZERO, full: true, dry_run: true, oldest_statement };
    let snapshot = place.snapshot("t").await;
    let while_it_runs = place.lake.vacuum(&snapshot, vacuum(began), &place.session()).await.unwrap();
    assert!(while_it_runs.files.is_empty(), "{while_it_runs:?}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let after = place.lake.vacuum(&snapshot, vacuum(SystemTime::now()), &place.session()).await.unwrap();
    assert_eq!(after.files.len(), 3, "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_as_it_was() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n FROM range(10)").await.unwrap();
    let statistics = |entry: Vec<serde_json::Value>| {
        let adds = entry.into_iter().filter_map(|action| action["add"]["stats"].as_str().map(str::to_owned));
        adds.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap()).collect::<Vec<_>>()
    };
    let first = statistics(log_entry(&place.path("t"), 0));
    place.insert("t", "SELECT 10::bigint AS n").await.unwrap();
    place.optimize("t", Optimize::default()).await;
    let earlier = place.lake.open_at(&place.url("t"), At::Version(0)).await.unwrap();
    let restored = place.lake.restore(&place.snapshot("t").await, &earlier).await.unwrap();
    assert_eq!((restored.version, restored.removed_files, restored.restored_files), (3, 1, 1));
    place.refresh("t").await;
    assert_eq!(place.number("SELECT sum(n) FROM t").await, 45);
    // Nothing is lost of what the log said of the file.
    assert_eq!(statistics(log_entry(&place.path("t"), 3)), first);
    let again = place.lake.restore(&place.snapshot("t").await, &earlier).await.unwrap();
    assert_eq!((again.version, again.restored_files), (3, 0));

    // Constraints of the time come back with the rows.
    let table = deltalake::open_table(place.url("t")).await.unwrap();
    table.add_constraint().with_constraint("small", "n < 100").await.unwrap();
    assert!(place.insert("t", "SELECT 100::bigint AS n").await.is_err());
    place.lake.restore(&place.snapshot("t").await, &earlier).await.unwrap();
    assert!(place.snapshot("t").await.checks().is_empty());
    place.insert("t", "SELECT 100::bigint AS n").await.unwrap();

    // Files that were vacuumed can't come back, and then nothing changes.
    place.optimize("t", Optimize::default()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    place.vacuum("t", 0, true, false).await;
    let newest = place.snapshot("t").await;
    let error = place.lake.restore(&newest, &earlier).await.unwrap_err();
    assert!(matches!(error, Error::FilesMissing { version: 0, count: 1, .. }), "{error:?}");
    assert_eq!(place.snapshot("t").await.version(), newest.version());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_want_it_are_compacted_after_many_small_commits() {
    let place = Place::new();
    let mut spec = place.spec("SELECT 1::bigint AS n").await;
    place.create("plain", &spec).await;
    spec.properties.insert("delta.autoOptimize.autoCompact".into(), "true".into());
    place.create("t", &spec).await;
    let mut told = place.lake.watch_compactions();
    place.insert("plain", "SELECT 1::bigint AS n").await.unwrap();
    assert!(told.try_recv().is_err());
    for _ in 0..49 {
        place.insert("t", "SELECT 1::bigint AS n").await.unwrap();
    }
    let location = told.try_recv().unwrap();
    assert_eq!(place.lake.compact_if_wanted(&location, &place.session()).await.unwrap(), None);
    place.insert("t", "SELECT 1::bigint AS n").await.unwrap();
    let compacted = place.lake.compact_if_wanted(&location, &place.session()).await.unwrap().unwrap();
    assert_eq!((compacted.removed.len(), compacted.added.len()), (50, 1));
    place.refresh("t").await;
    assert_eq!(place.count("t").await, 50);
    assert_eq!(place.lake.compact_if_wanted(&place.url("plain"), &place.session()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_goes_back_as_far_as_the_log() {
    let place = Place::new();
    place.create_as("t", "SELECT 1::bigint AS n").await.unwrap();
    place.insert("t", "SELECT 2::bigint AS n").await.unwrap();
    place.insert("t", "SELECT 3::bigint AS n").await.unwrap();
    let snapshot = place.snapshot("t").await;
    place.lake.checkpoint(&snapshot).await.unwrap();
    let versions = |entries: &[crate::LogEntry]| entries.iter().map(|entry| entry.version).collect::<Vec<_>>();
    assert_eq!(versions(&place.lake.history(&snapshot, None).await.unwrap()), [2, 1, 0]);
    assert_eq!(versions(&place.lake.history(&snapshot, Some(2)).await.unwrap()), [2, 1]);
    std::fs::remove_file(place.path("t/_delta_log/00000000000000000000.json")).unwrap();
    std::fs::remove_file(place.path("t/_delta_log/00000000000000000001.json")).unwrap();
    let snapshot = place.snapshot("t").await;
    let entries = place.lake.history(&snapshot, None).await.unwrap();
    assert_eq!(versions(&entries), [2]);
    assert_eq!(entries[0].operation.as_deref(), Some("WRITE"));
    assert!(entries[0].timestamp_ms.unwrap() > 1_700_000_000_000);
    assert_eq!(place.number("SELECT sum(n) FROM t").await, 6);
    // Vacuum and optimize know no more than the log does, and do no harm.
    place.optimize("t", Optimize::default()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    place.vacuum("t", 0, true, false).await;
    place.refresh("t").await;
    assert_eq!(place.number("SELECT sum(n) FROM t").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_files_become_a_table_where_they_lie() {
    let place = Place::new();
    let query = "SELECT value AS n, CASE WHEN value < 5 THEN 'x' || value END AS s, value::double AS f,
                        arrow_cast(value, 'UInt32') AS u, value::int AS small, now()::timestamp AS moment
                 FROM range(10)";
    place.parquet(query, "p/day=2024-01-01/a%2Fb=x%20y/one.parquet").await;
    place.parquet("SELECT value + 10 AS n, true AS more FROM range(10)", "p/day=2024-01-02/a%2Fb=z/two.parquet").await;
    place.parquet("SELECT 99 AS n", "p/day=__HIVE_DEFAULT_PARTITION__/a%2Fb=z/three.parquet").await;
    place.parquet("SELECT 'wrong' AS n", "p/_temporary/part.parquet").await;
    let columns = vec![Field::new("day", DataType::Date32, true), Field::new("a/b", DataType::Utf8, true)];
    let error = place.lake.convert(&place.url("p"), vec![]).await.unwrap_err();
    assert!(matches!(error, Error::UndeclaredPartition { .. }), "{error:?}");
    let converted = place.lake.convert(&place.url("p"), columns.clone()).await.unwrap();
    assert_eq!(converted, Converted { files: 3, rows: 21 });
    place.refresh("p").await;
    assert_eq!(place.number("SELECT sum(n) FROM p").await, 190 + 99);
    assert_eq!(place.number("SELECT sum(u) + sum(small) FROM p").await, 90);
    assert_eq!(place.number("SELECT sum(n) FROM p WHERE day = '2024-01-01' AND \"a/b\" = 'x y'").await, 45);
    assert_eq!(place.number("SELECT sum(n) FROM p WHERE day IS NULL").await, 99);
    assert_eq!(place.number("SELECT count(*) FROM p WHERE s IS NULL").await, 16);
    assert_eq!(place.number("SELECT count(*) FROM p WHERE more").await, 10);
    assert_eq!(place.number("SELECT count(*) FROM p WHERE n >= 10 AND f IS NULL").await, 11);
    let error = place.lake.convert(&place.url("p"), columns).await.unwrap_err();
    assert!(matches!(error, Error::LocationInUse { .. }), "{error:?}");
    // It is a table like any other.
    place.insert("p", "SELECT 1::bigint AS n, 'q' AS \"a/b\", '2024-01-03'::date AS day").await.unwrap();
    place.optimize("p", Optimize::default()).await;
    assert_eq!(place.number("SELECT sum(n) FROM p").await, 190 + 99 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_that_fails_leaves_the_files_alone() {
    let place = Place::new();
    place.parquet("SELECT 1::bigint AS n", "p/one.parquet").await;
    place.parquet("SELECT 'a' AS n", "p/two.parquet").await;
    let error = place.lake.convert(&place.url("p"), vec![]).await.unwrap_err();
    assert!(error.to_string().contains("one.parquet"), "{error}");
    std::fs::write(place.path("p/two.parquet"), b"no parquet file").unwrap();
    assert!(place.lake.convert(&place.url("p"), vec![]).await.is_err());
    let day = vec![Field::new("day", DataType::Date32, true)];
    std::fs::remove_file(place.path("p/two.parquet")).unwrap();
    assert!(place.lake.convert(&place.url("p"), day.clone()).await.is_err());
    place.parquet("SELECT 1::bigint AS n", "q/day=monday/one.parquet").await;
    let error = place.lake.convert(&place.url("q"), day).await.unwrap_err();
    assert!(matches!(error, Error::CastFailed { .. }), "{error:?}");
    assert!(place.lake.convert(&place.url("nowhere"), vec![]).await.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(data_files(&place.path("p")), ["one.parquet"]);
    assert_eq!(data_files(&place.path("q")), ["day=monday/one.parquet"]);
    assert!(!place.path("p/_delta_log").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_files_hide_no_rows() {
    let place = Place::new();
    let rows = "SELECT * FROM (VALUES (1.5::double, 'a' || repeat('z', 100), '2024-01-01 00:00:00.0000019'::timestamp),
                ('NaN'::double, 'b', NULL), (NULL, NULL, '2024-01-02 00:00:00.0009999'::timestamp)) AS t(f, s, moment)";
    place.parquet(rows, "p/one.parquet").await;
    place.lake.convert(&place.url("p"), vec![]).await.unwrap();
    place.refresh("p").await;
    let add = log_entry(&place.path("p"), 0).into_iter().find_map(|action| action.get("add").cloned()).unwrap();
    let statistics: serde_json::Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    assert_eq!(statistics["numRecords"], 3);
    assert_eq!(statistics["nullCount"], serde_json::json!({"f": 1, "s": 1, "moment": 1}));
    assert!(statistics["maxValues"].get("f").is_none(), "{statistics}");
    for (condition, count) in [
        ("f > 1000", 1),
        ("s > 'az'", 2),
        ("s >= 'b'", 1),
        ("moment > '2024-01-02 00:00:00.000998'::timestamp", 1),
        ("moment < '2024-01-01 00:00:00.000002'::timestamp", 1),
        ("moment IS NULL", 1),
    ] {
        assert_eq!(place.number(&format!("SELECT count(*) FROM p WHERE {condition}")).await, count, "{condition}");
    }
}
