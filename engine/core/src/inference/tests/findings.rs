//! What DataFusion's asynchronous functions, and model calls as plain scalar functions, would get wrong: one test for
//! each finding.

use super::Bench;

/// A serial window of one batch: here a window gathers batches, and two are under way at once.
#[tokio::test]
async fn one_the_window_is_not_the_batch() {
    let bench = Bench::new().await;
    bench.run("SET batch_size = 10").await.unwrap();
    let sql = "SELECT sum(ai_query('double', value)) FROM generate_series(1, 5000) AS value";
    bench.check(sql, &["25005000.0"], &[("double", 5_000, 5_000)]).await;
    assert!(bench.usage().runs < 50, "{:?}", bench.usage());
}

/// Only projections, filters and aggregate arguments: here group keys, FILTER, sort, window and join conditions too.
#[tokio::test]
async fn two_every_place_is_served() {
    let bench = Bench::new().await;
    bench
        .check(
            "SELECT ai_query('double', a.k) AS g, count(*) FILTER (WHERE ai_query('double', a.v) > 4), \
             sum(sum(a.v)) OVER (ORDER BY ai_query('double', a.k)) \
             FROM points a JOIN points b ON ai_query('negative', a.v) = ai_query('negative', b.v) \
             GROUP BY ai_query('double', a.k) ORDER BY g",
            &["0.0|2|12.0", "2.0|2|21.0"],
            &[("double", 12, 8), ("negative", 12, 12)],
        )
        .await;
}

/// Two aggregates with calls read the same column.
#[tokio::test]
async fn three_aggregates_keep_their_arguments_apart() {
    let bench = Bench::new().await;
    bench
        .check(
            "SELECT min(ai_query('double', v)), max(ai_query('negative', v)), max(ai_query('double', v)) FROM points",
            &["2.0|-1.0|12.0"],
            &[("double", 6, 6), ("negative", 6, 6)],
        )
        .await;
}

/// A call as another call's argument; a constant that becomes an array of one row.
#[tokio::test]
async fn four_calls_nest_and_constants_spread() {
    let bench = Bench::new().await;
    bench
        .check(
            "SELECT ai_query('double', ai_query('negative', v)) + ai_query('double', 1.0) FROM points ORDER BY id",
            &["0.0", "-2.0", "-4.0", "-6.0", "-8.0", "-10.0"],
            &[("double", 7, 7), ("negative", 6, 6)],
        )
        .await;
}

/// CASE and AND evaluate calls for all rows.
#[tokio::test]
async fn five_guards_spare_calls() {
    let bench = Bench::new().await;
    bench
        .check(
            "SELECT CASE WHEN k = 0 THEN ai_query('double', v) END, id = 1 AND ai_query('negative', v) < 0 \
             FROM points WHERE id < 4 ORDER BY id",
            &["NULL|true", "4.0|false", "NULL|false"],
            &[("double", 1, 1), ("negative", 1, 1)],
        )
        .await;
}

/// A predicate with a call goes to the scan of a Delta table, and runs there, or twice.
#[tokio::test]
async fn six_scans_never_see_a_call() {
    let bench = Bench::new().await;
    let sql = "SELECT id FROM points WHERE ai_query('double', v) > 6 AND v < 6 ORDER BY id";
    bench.check(sql, &["4", "5"], &[("double", 5, 5)]).await;
    let plan = bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
    let scan = plan.lines().rfind(|line| line.contains("Scan")).unwrap_or_default();
    assert!(plan.contains("Inference: "), "{plan}");
    assert!(!scan.contains("ai_query") && !scan.contains("__call"), "{plan}");
}

/// Constant folding runs the model while planning.
#[tokio::test]
async fn seven_planning_runs_no_model() {
    let bench = Bench::new().await;
    let sql = "SELECT ai_query('double', 1.0), id FROM points WHERE ai_query('double', 2.0) > 1";
    let (_, asked) = bench.counted(&format!("EXPLAIN {sql}")).await;
    assert!(asked.is_empty());
    let (rows, asked) = bench.counted(sql).await;
    assert_eq!((rows.len(), asked), (6, vec![("double".to_owned(), 2, 2)]));
}
