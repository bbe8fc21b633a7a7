//! Statements that fail, are dropped, or race: nothing half-written is ever seen.

use std::fmt;
use std::time::{Duration, SystemTime};

use arrow::datatypes::DataType;
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};

use super::*;
use crate::{Error, Vacuum};

#[derive(Debug)]
struct ModelFailed(i64);

impl fmt::Display for ModelFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "model failed with {}", self.0)
    }
}

impl std::error::Error for ModelFailed {}

/// `broken(n)` fails with a typed error; `slow(n)` takes ten milliseconds a batch.
fn with_functions(place: &Place) {
    let broken = |_: &[ColumnarValue]| Err(DataFusionError::External(Box::new(ModelFailed(42))));
    let slow = |values: &[ColumnarValue]| {
        std::thread::sleep(Duration::from_millis(10));
        Ok(values[0].clone())
    };
    let number = || vec![DataType::Int64];
    let context = &place.context;
    context.register_udf(create_udf("broken", number(), DataType::Int64, Volatility::Volatile, Arc::new(broken)));
    context.register_udf(create_udf("slow", number(), DataType::Int64, Volatility::Volatile, Arc::new(slow)));
}

fn root_cause(error: &Error) -> Option<&ModelFailed> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(found) = current.downcast_ref::<ModelFailed>() {
            return Some(found);
        }
        source = current.source();
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_plan_comes_back_as_it_was_raised() {
    let place = Place::new();
    with_functions(&place);
    place.create_as("t", "SELECT 1::bigint AS n").await.unwrap();
    let query = "SELECT broken(value) AS n FROM range(5000)";
    let inserted = place.insert("t", query).await.unwrap_err();
    let created = place.create_as("new", query).await.unwrap_err();
    for error in [inserted, created] {
        assert!(matches!(error, Error::DataFusion(_)), "{error:?}");
        assert_eq!(root_cause(&error).unwrap().0, 42);
    }
    let error = place.insert("t", "SELECT 1 / (value - 10) AS n FROM range(20)").await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("divide by zero"), "{error}");
    assert_eq!(place.count("t").await, 1);
    assert!(!place.path("new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_statement_leaves_no_version_and_a_free_location() {
    let place = Place::new();
    with_functions(&place);
    place.create_as("t", "SELECT 1::bigint AS n").await.unwrap();
    let query = "SELECT slow(value) AS n FROM range(1000000)";
    let short = Duration::from_millis(200);
    assert!(tokio::time::timeout(short, place.insert("t", query)).await.is_err());
    assert!(tokio::time::timeout(short, place.create_as("new", query)).await.is_err());
    for _ in 0..100 {
        if !place.path("new").exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!place.path("new").exists(), "{:?}", data_files(&place.path("new")));
    assert_eq!(place.lake.open(&place.url("t")).await.unwrap().version(), 0);
    place.create_as("new", "SELECT 1 AS n").await.unwrap();
    assert_eq!(place.count("new").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_a_commit_are_not_seen() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n FROM range(10)").await.unwrap();
    let file = data_files(&place.path("t")).remove(0);
    std::fs::copy(place.path("t").join(&file), place.path("t").join(format!("orphan-{file}"))).unwrap();
    place.refresh("t").await;
    assert_eq!(place.count("t").await, 10);
    assert_eq!(place.rows("SELECT n FROM t").await.iter().map(RecordBatch::num_rows).sum::<usize>(), 10);

    // The same for a table that was being created when the process died.
    std::fs::create_dir(place.path("half")).unwrap();
    std::fs::copy(place.path("t").join(&file), place.path("half").join(&file)).unwrap();
    assert!(matches!(place.lake.open(&place.url("half")).await, Err(Error::NotATable { .. })));
    assert!(place.lake.clear_unfinished(&place.url("half")).await.unwrap());
    assert!(!place.path("half").exists());
    assert!(!place.lake.clear_unfinished(&place.url("t")).await.unwrap());
    assert_eq!(place.count("t").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_on_one_snapshot_all_land() {
    let place = Place::new();
    place.create_as("t", "SELECT -1::bigint AS n").await.unwrap();
    let snapshot = place.lake.open(&place.url("t")).await.unwrap();
    let session = place.session();
    let plans: Vec<_> = futures::future::join_all((0..8).map(|_| place.plan("SELECT value AS n FROM range(10)"))).await;
    let appends = plans.into_iter().map(|plan| place.lake.append(&snapshot, plan, &session));
    let mut versions: Vec<u64> =
        futures::future::join_all(appends).await.into_iter().map(|written| written.unwrap().version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=8).collect::<Vec<u64>>());
    place.refresh("t").await;
    assert_eq!(place.count("t").await, 81);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_definition_is_a_conflict() {
    let place = Place::new();
    place.create_as("t", "SELECT 1::bigint AS n").await.unwrap();
    let snapshot = place.lake.open(&place.url("t")).await.unwrap();
    let table = deltalake::open_table(place.url("t")).await.unwrap();
    table.add_constraint().with_constraint("small", "n < 10").await.unwrap();
    let plan = place.plan("SELECT 100::bigint AS n").await;
    let error = place.lake.append(&snapshot, plan.clone(), &place.session()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    assert_eq!(data_files(&place.path("t")).len(), 1);
    let snapshot = place.lake.open(&place.url("t")).await.unwrap();
    let error = place.lake.append(&snapshot, plan, &place.session()).await.unwrap_err();
    assert!(matches!(error, Error::CheckViolation { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_beyond_the_memory_limit_says_so() {
    let place = Place::new();
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(100_000)));
    let config = SessionConfig::new().with_target_partitions(1);
    let context = SessionContext::new_with_config_rt(config, runtime.build_arc().unwrap());
    let plan = context.state().create_logical_plan("SELECT value AS n FROM range(100000)").await.unwrap();
    let spec = TableSpec::of_query(plan.schema().as_arrow()).unwrap();
    let error = place.lake.create_as(&place.url("t"), &spec, plan, &context.state()).await.unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error:?}");
    assert!(!place.path("t").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_made_and_read() {
    let place = Place::new();
    let mut spec = place.spec("SELECT 1::bigint AS n").await;
    spec.properties.insert("delta.checkpointInterval".into(), "5".into());
    place.create("t", &spec).await;
    for _ in 0..12 {
        place.insert("t", "SELECT 1::bigint AS n").await.unwrap();
    }
    assert!(place.path("t").join("_delta_log").join("_last_checkpoint").exists());
    assert_eq!(place.count("t").await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_were_never_ended_go() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n FROM range(10)").await.unwrap();
    let abandoned =
        ["_change_data/c.parquet#1", "_delta_log/00000000000000000001.json#2", "a.parquet#1", "p=1/b.parquet#31"];
    let others = ["_hidden/file.parquet#1", "_delta_log/00000000000000000001.json.tmp"];
    let vacuum = async |full, dry_run| {
        let vacuum = Vacuum { retention: Duration::ZERO, full, dry_run, oldest_statement: SystemTime::now() };
        place.lake.vacuum(&place.snapshot("t").await, vacuum, &place.session()).await.unwrap().files
    };
    for file in abandoned.iter().chain(&others) {
        let file = place.path("t").join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, b"half a fi").unwrap();
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(vacuum(false, true).await.is_empty());
    assert_eq!(vacuum(true, true).await, abandoned);
    assert_eq!(vacuum(true, false).await, abandoned);
    assert!(abandoned.iter().all(|file| !place.path("t").join(file).exists()));
    assert!(others.iter().all(|file| place.path("t").join(file).exists()));
    assert!(vacuum(true, false).await.is_empty());
    place.refresh("t").await;
    assert_eq!(place.count("t").await, 10);
}
