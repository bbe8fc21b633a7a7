//! Scans: what is pushed into them, how they run in parallel, and which types they give.

use arrow::datatypes::DataType;
use datafusion::physical_plan::{ExecutionPlanProperties, displayable};

use super::*;

async fn explain(place: &Place, sql: &str) -> String {
    let plan = place.context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    displayable(plan.as_ref()).indent(true).to_string()
}

async fn ten_files(place: &Place) {
    let mut spec = place.spec("SELECT 1::bigint AS n, 'x' AS s, 'x' AS p").await;
    spec.partition_columns = vec!["p".into()];
    place.create("t", &spec).await;
    for start in 0..5 {
        let rows =
            format!("SELECT value + {start}000 AS n, 's' AS s, chr((97 + value % 2)::bigint) AS p FROM range(1000)");
        assert_eq!(place.insert("t", &rows).await.unwrap().files_added, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_gives_plain_types() {
    let place = Place::new();
    ten_files(&place).await;
    let snapshot = place.lake.open(&place.url("t")).await.unwrap();
    let types = |schema: arrow::datatypes::SchemaRef| {
        schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>()
    };
    assert_eq!(types(snapshot.schema()), [DataType::Int64, DataType::Utf8, DataType::Utf8]);
    let provider = snapshot.provider(&place.session()).unwrap();
    let declared = types(provider.schema());
    assert!(declared.iter().all(|data_type| !matches!(data_type, DataType::Dictionary(..))), "{declared:?}");
    let rows = place.rows("SELECT * FROM t LIMIT 1").await;
    assert_eq!(types(rows[0].schema()), declared);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_skip_files_and_partitions() {
    let place = Place::new();
    ten_files(&place).await;
    let all = explain(&place, "SELECT n FROM t").await;
    let few = explain(&place, "SELECT n FROM t WHERE n >= 4500 AND p = 'a'").await;
    assert_eq!((all.matches(".parquet").count(), few.matches(".parquet").count()), (10, 1), "{few}");
    place.check("SELECT count(*) AS c FROM t WHERE n >= 4500 AND p = 'a'", "| c   |\n| 250 |").await;
    let projected = explain(&place, "SELECT n FROM t WHERE n > 10").await;
    assert!(projected.contains("projection=[n") && !projected.contains("projection=[n, s"), "{projected}");
    let volatile = "SELECT count(*) AS c FROM t WHERE random() >= 0 AND upper(s) = 'S'";
    place.check(volatile, "| c    |\n| 5000 |").await;
    place.check("SELECT count(*) AS c FROM (SELECT n FROM t LIMIT 7)", "| c |\n| 7 |").await;
    place.check("SELECT n FROM t WHERE p = 'b' ORDER BY n LIMIT 2", "| n |\n| 1 |\n| 3 |").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_are_read_in_parallel() {
    let place = Place::with_partitions(4);
    ten_files(&place).await;
    let plan = place.context.sql("SELECT n FROM t").await.unwrap().create_physical_plan().await.unwrap();
    assert_eq!(plan.output_partitioning().partition_count(), 4);
    place.check("SELECT count(*) AS c, sum(n) AS s FROM t", "| c    | s        |\n| 5000 | 12497500 |").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_enter_by_the_back_door() {
    let place = Place::new();
    place.create_as("t", "SELECT 1::bigint AS n").await.unwrap();
    let insert = place.context.sql("INSERT INTO t SELECT 2").await;
    let failed = match insert {
        Ok(frame) => frame.collect().await.is_err(),
        Err(_) => true,
    };
    assert!(failed);
    place.refresh("t").await;
    assert_eq!(place.count("t").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_down_filters_keep_their_meaning() {
    let place = Place::new();
    place.context.sql("SET datafusion.execution.parquet.pushdown_filters = true").await.unwrap();
    ten_files(&place).await;
    place.check("SELECT count(*) AS c FROM t WHERE n % 1000 = 7 AND s = 's'", "| c |\n| 5 |").await;
    place.check("SELECT count(*) AS c FROM t WHERE random() >= 0 AND upper(p) = 'A'", "| c    |\n| 2500 |").await;
}
