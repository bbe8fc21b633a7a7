//! Each distinct call runs once per row that reaches it, in every place where an expression may stand.

use super::Bench;

#[tokio::test]
async fn projection() {
    let bench = Bench::new().await;
    bench
        .check(
            "SELECT id, ai_query('double', v) FROM points ORDER BY id",
            &["1|2.0", "2|4.0", "3|6.0", "4|8.0", "5|10.0", "6|12.0"],
            &[("double", 6, 6)],
        )
        .await;
    bench
        .check(
            "SELECT ai_query('double', v) + ai_query('double', v), ai_query('double', v) AS d FROM points WHERE id = 3",
            &["12.0|6.0"],
            &[("double", 1, 1)],
        )
        .await;
    // Equal inputs are one input.
    bench.check("SELECT sum(ai_query('double', k)) FROM points", &["6.0"], &[("double", 6, 2)]).await;
    bench
        .check(
            "SELECT ai_query('add', named_struct('b', v, 'a', k)) FROM points WHERE id < 3 ORDER BY id",
            &["2.0", "2.0"],
            &[("add", 2, 2)],
        )
        .await;
}

#[tokio::test]
async fn filter() {
    let bench = Bench::new().await;
    bench
        .check("SELECT id FROM points WHERE ai_query('double', v) > 9 ORDER BY id", &["5", "6"], &[("double", 6, 6)])
        .await;
    // The cheap condition runs first, though it is written last.
    bench.check("SELECT id FROM points WHERE ai_query('double', v) > 3 AND id <= 2", &["2"], &[("double", 2, 2)]).await;
    // The second call sees what the first left.
    bench
        .check(
            "SELECT id FROM points WHERE ai_query('double', v) > 6 AND ai_query('negative', v) < -4 ORDER BY id",
            &["5", "6"],
            &[("double", 6, 6), ("negative", 3, 3)],
        )
        .await;
    bench
        .check(
            "SELECT id FROM points WHERE id < 3 OR ai_query('double', v) > 11 ORDER BY id",
            &["1", "2", "6"],
            &[("double", 4, 4)],
        )
        .await;
    // A filter outside a subquery sinks below the call inside.
    bench
        .check(
            "SELECT d FROM (SELECT id, ai_query('double', v) AS d FROM points) AS scored WHERE id = 4",
            &["8.0"],
            &[("double", 1, 1)],
        )
        .await;
}

#[tokio::test]
async fn one_call_serves_every_clause() {
    let bench = Bench::new().await;
    bench
        .check(
            "SELECT id, ai_query('double', v) AS d FROM points WHERE ai_query('double', v) > 6 \
             ORDER BY ai_query('double', v) DESC",
            &["6|12.0", "5|10.0", "4|8.0"],
            &[("double", 6, 6)],
        )
        .await;
    bench
        .check(
            "SELECT id FROM points WHERE ai_query('double', v) > 6 ORDER BY ai_query('double', v) DESC",
            &["6", "5", "4"],
            &[("double", 6, 6)],
        )
        .await;
    // The filter needs it for some rows, the select list for the others.
    bench
        .check(
            "SELECT id, ai_query('double', v) FROM points WHERE id < 3 OR ai_query('double', v) > 11 ORDER BY id",
            &["1|2.0", "2|4.0", "6|12.0"],
            &[("double", 6, 6)],
        )
        .await;
    bench
        .check(
            "SELECT a.id, ai_query('double', a.v) FROM points a JOIN points b ON a.id = b.id \
             WHERE ai_query('double', a.v) > 9 ORDER BY 1",
            &["5|10.0", "6|12.0"],
            &[("double", 6, 6)],
        )
        .await;
}

#[tokio::test]
async fn join_conditions() {
    let bench = Bench::new().await;
    bench
        .check(
            "SELECT a.id, b.id FROM points a JOIN points b ON ai_query('double', a.v) = b.v ORDER BY 1",
            &["1|2", "2|4", "3|6"],
            &[("double", 6, 6)],
        )
        .await;
    bench
        .check(
            "SELECT a.id, b.id FROM points a LEFT JOIN points b ON a.id = b.id AND ai_query('double', b.v) > 9 ORDER BY 1",
            &["1|NULL", "2|NULL", "3|NULL", "4|NULL", "5|5", "6|6"],
            &[("double", 6, 6)],
        )
        .await;
    // A condition on the outer side doesn't filter it, but it spares the call.
    bench
        .check(
            "SELECT a.id, b.id FROM points a LEFT JOIN points b ON a.id = b.id AND a.id > 4 AND \
             ai_query('double', a.v) > 10 ORDER BY 1",
            &["1|NULL", "2|NULL", "3|NULL", "4|NULL", "5|NULL", "6|6"],
            &[("double", 2, 2)],
        )
        .await;
    bench
        .check(
            "SELECT a.id FROM points a JOIN points b ON a.id = b.id AND \
             ai_query('add', named_struct('a', a.v, 'b', b.v)) > 10 ORDER BY 1",
            &["6"],
            &[("add", 6, 6)],
        )
        .await;
    bench
        .check(
            "SELECT a.id FROM points a WHERE EXISTS (SELECT 1 FROM points b WHERE b.id = a.id AND \
             ai_query('double', b.v) > 9) ORDER BY 1",
            &["5", "6"],
            &[("double", 6, 6)],
        )
        .await;
}

#[tokio::test]
async fn grouping_and_aggregates() {
    let bench = Bench::new().await;
    bench
        .check(
            "SELECT ai_query('double', k) AS g, count(*) FROM points GROUP BY ai_query('double', k) ORDER BY g",
            &["0.0|3", "2.0|3"],
            &[("double", 6, 2)],
        )
        .await;
    bench
        .check(
            "SELECT ai_query('double', k), k, count(*) FROM points GROUP BY ROLLUP (ai_query('double', k), k) \
             ORDER BY 3, 1, 2",
            &["0.0|0|3", "0.0|NULL|3", "2.0|1|3", "2.0|NULL|3", "NULL|NULL|6"],
            &[("double", 6, 2)],
        )
        .await;
    bench
        .check(
            "SELECT k, sum(v) FROM points GROUP BY k HAVING ai_query('double', sum(v)) > 20",
            &["0|12.0"],
            &[("double", 2, 2)],
        )
        .await;
    bench
        .check("SELECT k FROM points GROUP BY k HAVING max(ai_query('double', v)) > 10", &["0"], &[("double", 6, 6)])
        .await;
    bench
        .check("SELECT sum(ai_query('double', v)) FILTER (WHERE id <= 2) FROM points", &["6.0"], &[("double", 2, 2)])
        .await;
    bench
        .check(
            "SELECT count(*) FILTER (WHERE ai_query('double', v) > 6), sum(ai_query('negative', v)) \
             FILTER (WHERE ai_query('double', v) > 10) FROM points",
            &["3|-6.0"],
            &[("double", 6, 6), ("negative", 1, 1)],
        )
        .await;
    bench
        .check(
            "SELECT array_agg(id ORDER BY ai_query('negative', v)) FROM points",
            &["[6, 5, 4, 3, 2, 1]"],
            &[("negative", 6, 6)],
        )
        .await;
    bench
        .check("SELECT DISTINCT ai_query('double', k) FROM points ORDER BY 1", &["0.0", "2.0"], &[("double", 6, 2)])
        .await;
    bench
        .check(
            "SELECT DISTINCT ON (ai_query('double', k)) id FROM points ORDER BY ai_query('double', k), id",
            &["2", "1"],
            &[("double", 6, 2)],
        )
        .await;
}

#[tokio::test]
async fn order_by_and_windows() {
    let bench = Bench::new().await;
    bench
        .check("SELECT id FROM points ORDER BY ai_query('negative', v) LIMIT 2", &["6", "5"], &[("negative", 6, 6)])
        .await;
    bench
        .check(
            "SELECT id, sum(ai_query('double', v)) OVER (PARTITION BY ai_query('double', k) ORDER BY \
             ai_query('negative', v)) FROM points ORDER BY id",
            &["1|18.0", "2|24.0", "3|16.0", "4|20.0", "5|10.0", "6|12.0"],
            // v and k are different arguments of one model.
            &[("double", 12, 8), ("negative", 6, 6)],
        )
        .await;
    bench
        .check(
            "SELECT id, row_number() OVER (ORDER BY v DESC) + ai_query('double', v) FROM points WHERE id > 4 ORDER BY id",
            &["5|12.0", "6|13.0"],
            &[("double", 2, 2)],
        )
        .await;
}

#[tokio::test]
async fn conditional_expressions() {
    let bench = Bench::new().await;
    let check = async |expression: &str, rows: &[&str], asked: &[(&str, u64, u64)]| {
        bench.check(&format!("SELECT {expression} FROM points ORDER BY id"), rows, asked).await;
    };
    check(
        "CASE WHEN id <= 2 THEN ai_query('double', v) WHEN id <= 4 THEN ai_query('negative', v) ELSE 0 END",
        &["2.0", "4.0", "-3.0", "-4.0", "0.0", "0.0"],
        &[("double", 2, 2), ("negative", 2, 2)],
    )
    .await;
    // The condition is a call itself: the branch waits for it.
    check(
        "CASE WHEN ai_query('double', v) > 8 THEN ai_query('negative', v) END",
        &["NULL", "NULL", "NULL", "NULL", "-5.0", "-6.0"],
        &[("double", 6, 6), ("negative", 2, 2)],
    )
    .await;
    check(
        "CASE k WHEN 0 THEN ai_query('double', v) ELSE v END",
        &["1.0", "4.0", "3.0", "8.0", "5.0", "12.0"],
        &[("double", 3, 3)],
    )
    .await;
    check(
        "ai_query('double', v) > 10 AND id > 4",
        &["false", "false", "false", "false", "false", "true"],
        &[("double", 2, 2)],
    )
    .await;
    check(
        "id < 5 OR ai_query('double', v) > 10",
        &["true", "true", "true", "true", "false", "true"],
        &[("double", 2, 2)],
    )
    .await;
    check(
        "coalesce(CASE WHEN id > 2 THEN v END, ai_query('double', v))",
        &["2.0", "4.0", "3.0", "4.0", "5.0", "6.0"],
        &[("double", 2, 2)],
    )
    .await;
    check(
        "nullif(CASE WHEN id > 4 THEN v END, ai_query('double', v))",
        &["NULL", "NULL", "NULL", "NULL", "5.0", "6.0"],
        &[("double", 2, 2)],
    )
    .await;
    // One call from two branches: the rows of both.
    check(
        "CASE WHEN id = 1 THEN ai_query('double', v) WHEN id = 2 THEN 1 + ai_query('double', v) END",
        &["2.0", "5.0", "NULL", "NULL", "NULL", "NULL"],
        &[("double", 2, 2)],
    )
    .await;
    // Calls that guard each other, in two orders.
    check(
        "(ai_query('double', v) > 8 AND ai_query('negative', v) > -6) OR \
         (ai_query('negative', v) > -2 AND ai_query('double', v) > 0)",
        &["true", "false", "false", "false", "true", "false"],
        &[("double", 6, 6), ("negative", 6, 6)],
    )
    .await;
}

#[tokio::test]
async fn subqueries() {
    let bench = Bench::new().await;
    bench
        .check(
            "SELECT id FROM points WHERE v > (SELECT avg(ai_query('double', v)) FROM points WHERE id < 4) ORDER BY id",
            &["5", "6"],
            &[("double", 3, 3)],
        )
        .await;
    bench
        .check(
            "SELECT id FROM points WHERE ai_query('double', v) IN (SELECT v FROM points) ORDER BY id",
            &["1", "2", "3"],
            &[("double", 6, 6)],
        )
        .await;
    bench
        .check(
            "SELECT id FROM points WHERE v IN (SELECT ai_query('double', v) FROM points) ORDER BY id",
            &["2", "4", "6"],
            &[("double", 6, 6)],
        )
        .await;
    bench
        .check(
            "SELECT id, (SELECT max(ai_query('double', b.v)) FROM points b WHERE b.k = a.k) FROM points a \
             WHERE id < 3 ORDER BY id",
            &["1|10.0", "2|12.0"],
            &[("double", 6, 6)],
        )
        .await;
    bench
        .check(
            "WITH scored AS (SELECT id, ai_query('double', v) AS d FROM points) \
             SELECT s.id, s.d FROM scored s WHERE s.d > 10 UNION ALL SELECT 0, ai_query('negative', 1.0) \
             ORDER BY 1",
            &["0|-1.0", "6|12.0"],
            &[("double", 6, 6), ("negative", 1, 1)],
        )
        .await;
    bench
        .check(
            "SELECT ai_query('double', (SELECT max(v) FROM points)) FROM points WHERE id < 3",
            &["12.0", "12.0"],
            &[("double", 1, 1)],
        )
        .await;
}

#[tokio::test]
async fn writing() {
    let bench = Bench::new().await;
    bench
        .check("CREATE TABLE scored AS SELECT id, ai_query('double', v) AS d FROM points", &[], &[("double", 6, 6)])
        .await;
    bench
        .check(
            "INSERT INTO scored SELECT id + 10, ai_query('double', v) FROM points WHERE id < 3",
            &[],
            &[("double", 2, 2)],
        )
        .await;
    bench
        .check(
            "INSERT INTO scored VALUES (21, ai_query('double', 21.0)), (22, ai_query('double', 22.0)), (23, 1)",
            &[],
            &[("double", 2, 2)],
        )
        .await;
    bench
        .check(
            "INSERT INTO scored VALUES (31, ai_query('double', 31.0)), (32, ai_query('double', 32.0))",
            &[],
            &[("double", 2, 2)],
        )
        .await;
    let rows = bench.rows("SELECT id, d FROM scored WHERE id > 6 ORDER BY id").await;
    assert_eq!(rows, ["11|2.0", "12|4.0", "21|42.0", "22|44.0", "23|1.0", "31|62.0", "32|64.0"]);
}

#[tokio::test]
async fn constants_and_nesting() {
    let bench = Bench::new().await;
    bench.check("SELECT ai_query('double', 21.0)", &["42.0"], &[("double", 1, 1)]).await;
    bench
        .check(
            "SELECT id, ai_query('double', 1.5) FROM points WHERE v > ai_query('double', 1.5) ORDER BY v - ai_query('double', 1.5)",
            &["4|3.0", "5|3.0", "6|3.0"],
            &[("double", 1, 1)],
        )
        .await;
    bench
        .check(
            "SELECT ai_query('double', ai_query('negative', v)), ai_query('negative', v) FROM points WHERE id = 6",
            &["-12.0|-6.0"],
            &[("double", 1, 1), ("negative", 1, 1)],
        )
        .await;
    bench
        .check(
            "SELECT ai_query('double', ai_query('double', ai_query('double', v))) FROM points WHERE id < 3 ORDER BY 1",
            &["8.0", "16.0"],
            &[("double", 6, 6)],
        )
        .await;
    // A different draw for every row, and for every place where it is written.
    let (rows, asked) =
        bench.counted("SELECT ai_query('double', random()) = ai_query('double', random()) FROM points").await;
    assert_eq!((rows, asked), (vec!["false".to_owned(); 6], vec![("double".to_owned(), 12, 12)]));
}

#[tokio::test]
async fn limits() {
    let bench = Bench::new().await;
    let (rows, asked) = bench.counted("SELECT ai_query('double', v) FROM points LIMIT 2").await;
    assert_eq!((rows.len(), asked[0].1), (2, 2));
    bench
        .check(
            "SELECT id, ai_query('double', v) AS d FROM points ORDER BY id LIMIT 2",
            &["1|2.0", "2|4.0"],
            &[("double", 2, 2)],
        )
        .await;
    bench
        .check(
            "SELECT ai_query('double', v) AS d FROM points ORDER BY id DESC LIMIT 1 OFFSET 1",
            &["10.0"],
            &[("double", 1, 1)],
        )
        .await;
    let sql = "SELECT value FROM generate_series(1, 200000) AS value WHERE ai_query('double', value) > 100 LIMIT 10";
    let (rows, asked) = bench.counted(sql).await;
    assert_eq!(rows.len(), 10);
    assert!(asked[0].1 <= 50_000, "{asked:?}");
}

#[tokio::test]
async fn unread_calls_are_not_made() {
    let bench = Bench::new().await;
    bench
        .check("SELECT count(*) FROM (SELECT id, ai_query('double', v) AS d FROM points) AS scored", &["6"], &[])
        .await;
    bench
        .check("SELECT id FROM (SELECT id, ai_query('double', v) AS d FROM points) AS s WHERE id = 1", &["1"], &[])
        .await;
}
