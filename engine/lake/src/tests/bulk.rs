//! Writes that are large for their limits: several writers, files given up early, and a store that refuses.

use super::*;
use crate::definition::Definition;
use crate::rules::Rules;
use crate::writer::{Files, Limits, Output, write};
use crate::{Error, commit, layout, location};

/// Creates a table from a query with limits of its own; the files' sizes in rows.
async fn create_within(place: &Place, query: &str, partition_column: Option<&str>, limits: Limits) -> Vec<i64> {
    let mut spec = place.spec(query).await;
    spec.partition_columns = partition_column.map(str::to_owned).into_iter().collect();
    let definition = Definition::of(&spec).unwrap();
    let session = place.session();
    let plan = session.create_physical_plan(&place.plan(query).await).await.unwrap();
    let rules = Arc::new(Rules::compile(&definition.demands(), &plan.schema(), &session).unwrap());
    let config = layout::writer_config(rules.written_schema(), &definition.demands(), |_| None).unwrap();
    let root = place.url("t");
    let log_store = location::vacant(&root, &Default::default()).await.unwrap();
    let store = log_store.object_store(None);
    let output = Output { store, config, partitioned: partition_column.is_some() };
    let files: Files = write(plan, &session, rules, output, None, None, limits).await.unwrap();
    let rows = |stats: &str| {
        let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
        stats["numRecords"].as_i64().unwrap()
    };
    let sizes: Vec<i64> = files.adds.iter().map(|add| rows(add.stats.as_ref().unwrap())).collect();
    assert_eq!(files.rows, sizes.iter().sum::<i64>() as u64);
    commit::create(log_store, &root, definition, files).await.unwrap();
    place.refresh("t").await;
    sizes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_statement_takes_several_writers() {
    let place = Place::with_partitions(4);
    let limits = Limits { bytes_per_writer: 100_000, ..Limits::default() };
    let sizes = create_within(&place, "SELECT value AS n FROM range(200000)", None, limits).await;
    assert_eq!(sizes.len(), 4);
    place.check("SELECT count(*) AS c, sum(n) AS s FROM t", "| c      | s           |\n| 200000 | 19999900000 |").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_write_gives_up_its_files_at_the_limit() {
    let place = Place::new();
    let limits = Limits { partitioned_bytes_max: 400_000, ..Limits::default() };
    let query = "SELECT value AS n, value % 5 AS p FROM range(100000)";
    let sizes = create_within(&place, query, Some("p"), limits).await;
    assert!(sizes.len() >= 20 && sizes.len() % 5 == 0, "{sizes:?}");
    place
        .check("SELECT count(*) AS c, sum(n) AS s FROM t WHERE p = 2", "| c     | s         |\n| 20000 | 999990000 |")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_store_comes_back() {
    let place = Place::new();
    let mut spec = place.spec("SELECT 1::bigint AS n, 1::bigint AS p").await;
    spec.partition_columns = vec!["p".into()];
    place.create("t", &spec).await;
    // Where the partition's folder should be there is a file.
    std::fs::write(place.path("t").join("p=1"), "in the way").unwrap();
    let error = place.insert("t", "SELECT value AS n, value % 2 AS p FROM range(100000)").await.unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    assert_eq!(place.lake.open(&place.url("t")).await.unwrap().version(), 0);
}
