//! How often models are asked, by `system.inference_usage`: each distinct call once per row that reaches it, wherever
//! it is written. Every statement is held against the same one with arithmetic, so that an answer in the wrong row
//! shows as well.

/// Makes statements up.
mod author;
/// Statements made up at random.
mod random;

use super::calls::{self, called, computed};
use super::sql::{Sql, shown};

/// Model, rows that reach a call, inputs sent.
type Expected = &'static [(&'static str, u64, u64)];

/// Runs statements in both forms, with one partition and with several.
async fn check(cases: &[(&str, Expected)]) {
    let sql = calls::sql().await;
    let mut wrong = vec![];
    for partitions in [1, 4] {
        sql.batches(&format!("SET target_partitions = {partitions}")).await;
        sql.asked().await;
        for (statement, expected) in cases {
            if let Err(difference) = compare(&sql, statement, expected, partitions).await {
                wrong.push(format!("{partitions} partitions: {statement}\n{difference}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn compare(sql: &Sql, statement: &str, expected: Expected, partitions: usize) -> Result<(), String> {
    let rows = |result: Result<Vec<_>, alluvia_core::Error>| {
        let mut rows = shown(&result.map_err(|error| format!("  {error}"))?);
        rows.sort();
        Ok::<_, String>(rows)
    };
    let found = rows(sql.run(&called(statement)).await)?;
    let asked = sql.asked().await;
    let right = rows(sql.run(&computed(statement)).await)?;
    if found != right {
        return Err(format!("  called   {found:?}\n  computed {right:?}"));
    }
    let expected: Vec<_> = expected.iter().map(|(model, rows, inputs)| (model.to_string(), *rows, *inputs)).collect();
    // Equal inputs in different partitions don't meet.
    let same = asked.len() == expected.len()
        && asked.iter().zip(&expected).all(|(asked, expected)| {
            let inputs =
                if partitions == 1 { asked.2 == expected.2 } else { (expected.2..=asked.1).contains(&asked.2) };
            asked.0 == expected.0 && asked.1 == expected.1 && inputs
        });
    if same { Ok(()) } else { Err(format!("  asked    {asked:?}\n  expected {expected:?}")) }
}

/// `r` has 40 rows; `a` takes 10 values and is NULL in 3 rows, `k` takes 4. `s` has 13 rows.
#[tokio::test(flavor = "multi_thread")]
async fn select_where_and_order_by() {
    check(&[
        ("SELECT id, @linear(a; b) FROM r", &[("linear", 40, 33)]),
        ("SELECT id, @affine(k) FROM r", &[("affine", 40, 4)]),
        ("SELECT id, @affine(a), @text(k), @double(k), @whole(k) FROM r", &[("affine", 160, 22)]),
        (
            "SELECT id, @affine(id) FROM r WHERE @affine(id) > 50 AND @affine(id) < 100 ORDER BY @affine(id) DESC, id",
            &[("affine", 40, 40)],
        ),
        ("SELECT id FROM r WHERE @affine(id) > 50 AND k = 1 AND id > 5", &[("affine", 9, 9)]),
        ("SELECT id FROM r WHERE NOT (k <> 1 OR @affine(id) <= 50)", &[("affine", 10, 10)]),
        ("SELECT id FROM r WHERE k IN (1, 2) AND (id < 11 OR @affine(id) > 100)", &[("affine", 15, 15)]),
        ("SELECT id FROM r ORDER BY @linear(id; k) DESC, id", &[("linear", 40, 40)]),
        ("SELECT id, @sum(a; b), @above(a; b) FROM r WHERE id <= 4", &[("parts", 8, 8)]),
        ("SELECT DISTINCT @affine(k), k FROM r", &[("affine", 40, 4)]),
        ("SELECT DISTINCT ON (@affine(k)) id, @affine(k) FROM r ORDER BY @affine(k), id", &[("affine", 40, 4)]),
        (
            "SELECT id, @affine(@linear(a; b)) + @linear(a; b) FROM r WHERE id < 6",
            &[("affine", 5, 5), ("linear", 5, 5)],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joins() {
    check(&[
        ("SELECT r.id, s.id FROM r JOIN s ON @affine(r.k) = @affine(s.k)", &[("affine", 53, 8)]),
        ("SELECT r.id, s.id FROM r LEFT JOIN s ON r.id = s.id AND @affine(s.k) > 0", &[("affine", 13, 4)]),
        ("SELECT r.id, s.id FROM r RIGHT JOIN s ON @affine(r.id) = s.x * 2 AND s.id > 3", &[("affine", 40, 40)]),
        ("SELECT r.id, s.id FROM r FULL JOIN s ON @affine(r.id) = s.id", &[("affine", 40, 40)]),
        // A condition on one side spares that side's calls, where it drops no row of the result.
        (
            "SELECT r.id, s.id FROM r LEFT JOIN s ON r.id = s.id AND r.id > 35 AND @affine(r.id) > 0",
            &[("affine", 5, 5)],
        ),
        // Over both sides: once per pair that the other conditions leave.
        ("SELECT r.id, s.id FROM r JOIN s ON r.id = s.id AND @linear(r.id; s.k) > 20", &[("linear", 13, 13)]),
        ("SELECT r.id FROM r, s WHERE r.id = s.id AND @affine(s.id) > 10 AND r.k < 2", &[("affine", 6, 6)]),
        ("SELECT r.id, @affine(s.id) FROM r JOIN s USING (id) WHERE @affine(s.id) > 10", &[("affine", 13, 13)]),
        (
            "SELECT id FROM r WHERE EXISTS (SELECT 1 FROM s WHERE s.id = r.id AND @affine(s.k) > 0)",
            &[("affine", 13, 4)],
        ),
        ("SELECT id FROM r WHERE NOT EXISTS (SELECT 1 FROM s WHERE @affine(s.id) = r.id)", &[("affine", 13, 13)]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_windows() {
    check(&[
        ("SELECT @affine(k), count(*), sum(id) FROM r GROUP BY @affine(k)", &[("affine", 40, 4)]),
        ("SELECT k, sum(@affine(id)), max(@affine(id)) FROM r GROUP BY k", &[("affine", 40, 40)]),
        ("SELECT k, min(@affine(id)), max(@linear(a; b)) FROM r GROUP BY k", &[("affine", 40, 40), ("linear", 40, 33)]),
        ("SELECT k FROM r GROUP BY k HAVING @affine(sum(id)) > 600", &[("affine", 4, 4)]),
        ("SELECT k, @affine(sum(id)) FROM r GROUP BY k HAVING @affine(sum(id)) > 600", &[("affine", 4, 4)]),
        ("SELECT sum(@affine(id)) FILTER (WHERE k = 1), count(*) FROM r", &[("affine", 10, 10)]),
        ("SELECT count(*) FILTER (WHERE @positive(a)), count(*) FILTER (WHERE k = 2) FROM r", &[("positive", 40, 10)]),
        ("SELECT count(DISTINCT @affine(k)) FROM r WHERE id > 20", &[("affine", 20, 4)]),
        ("SELECT array_agg(id ORDER BY @affine(id) DESC) FROM r WHERE k = 3", &[("affine", 10, 10)]),
        (
            "SELECT id, rank() OVER (PARTITION BY @affine(k) ORDER BY @linear(id; k) DESC), \
             sum(@affine(id)) OVER (PARTITION BY k ORDER BY id) FROM r",
            &[("affine", 80, 44), ("linear", 40, 40)],
        ),
        ("SELECT id, @affine(sum(id) OVER (PARTITION BY k)) FROM r", &[("affine", 40, 4)]),
        ("SELECT id, lag(@affine(id)) OVER (ORDER BY id) FROM r WHERE k = 0", &[("affine", 10, 10)]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guards() {
    check(&[
        (
            "SELECT id, CASE WHEN k = 1 THEN @affine(id) WHEN k = 2 THEN @linear(id; k) ELSE 0 END FROM r",
            &[("affine", 10, 10), ("linear", 10, 10)],
        ),
        ("SELECT id, CASE k WHEN 1 THEN @affine(id) WHEN 2 THEN @affine(id) END FROM r", &[("affine", 20, 20)]),
        ("SELECT id, coalesce(a, @affine(id)) FROM r", &[("affine", 3, 3)]),
        (
            "SELECT id, k = 1 AND @affine(id) > 50, k = 1 OR @linear(id; k) > 50 FROM r",
            &[("affine", 10, 10), ("linear", 30, 30)],
        ),
        ("SELECT id FROM r WHERE k = 1 OR @affine(id) > 100", &[("affine", 30, 30)]),
        ("SELECT id, nullif(k, 1) IS NULL AND @positive(id) FROM r", &[("positive", 10, 10)]),
        // One call in two places of which neither covers the other.
        ("SELECT sum(CASE WHEN i > 0 THEN @affine(i) END) FROM r WHERE k = 0 OR @affine(i) > 3", &[("affine", 35, 28)]),
        ("SELECT CASE WHEN i BETWEEN -10 AND 9 AND @lookup(i) > 3 THEN @lookup(i) END FROM r", &[("lookup", 29, 19)]),
        // A branch that would fail is reached by no row that makes it fail.
        ("SELECT id, CASE WHEN i BETWEEN -10 AND 9 THEN @lookup(i) END FROM r", &[("lookup", 27, 19)]),
        ("SELECT id, i BETWEEN 0 AND 9 AND @lookup(i) > 3 FROM r", &[("lookup", 14, 9)]),
        ("SELECT id FROM r WHERE @lookup(i) > 3 AND i BETWEEN -10 AND 9", &[("lookup", 27, 19)]),
        ("SELECT sum(@lookup(i)) FILTER (WHERE i BETWEEN -10 AND 9) FROM r", &[("lookup", 27, 19)]),
        ("SELECT CASE WHEN @failed(i) THEN -1 ELSE @lookup(i) END FROM r", &[("lookup", 69, 47)]),
        ("SELECT id, CASE WHEN @positive(a) THEN @affine(id) END FROM r", &[("affine", 16, 16), ("positive", 40, 10)]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subqueries_and_sets() {
    check(&[
        ("SELECT id FROM r WHERE id > (SELECT max(@affine(k)) FROM s) + 10", &[("affine", 13, 4)]),
        ("SELECT id, (SELECT sum(@affine(s.id)) FROM s WHERE s.k = r.k) FROM r", &[("affine", 13, 13)]),
        ("SELECT id FROM r WHERE id IN (SELECT @affine(id) FROM s)", &[("affine", 13, 13)]),
        ("SELECT id FROM r WHERE @affine(k) NOT IN (SELECT @affine(k) FROM s WHERE k > 1)", &[("affine", 46, 6)]),
        ("SELECT @affine(id) FROM s UNION SELECT @affine(k) FROM s", &[("affine", 26, 17)]),
        ("SELECT @affine(id) FROM s INTERSECT SELECT @affine(k) FROM s", &[("affine", 26, 17)]),
        ("SELECT id, d FROM (SELECT id, k, @affine(id) AS d FROM r) AS x WHERE k = 2", &[("affine", 10, 10)]),
        // Each reference of a CTE is a relation of its own.
        (
            "WITH c AS (SELECT id, @affine(id) AS d FROM s) SELECT x.id, y.d FROM c x JOIN c y ON x.d = y.d",
            &[("affine", 26, 26)],
        ),
        ("SELECT count(*) FROM (SELECT id, @affine(id) AS d FROM r) AS x", &[]),
        (
            "SELECT r.id, x.d FROM r, LATERAL (SELECT @affine(s.x) AS d FROM s WHERE s.id = r.id) AS x",
            &[("affine", 13, 13)],
        ),
        ("VALUES (1, @affine(1)), (2, @affine(2)), (3, @affine(2))", &[("affine", 3, 2)]),
        ("SELECT id, @affine(3) FROM r WHERE id > @affine(3) ORDER BY id - @affine(3)", &[("affine", 1, 1)]),
        ("SELECT @affine((SELECT max(id) FROM s)), id FROM r", &[("affine", 1, 1)]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writing() {
    let sql = calls::sql().await;
    for (statement, expected) in [
        ("CREATE TABLE c AS SELECT id, @affine(id) AS y, @shout(w) AS w FROM r WHERE @affine(id) > 10", 40),
        ("INSERT INTO c SELECT id + 100, @affine(k), NULL FROM r WHERE k < 2", 20),
        ("INSERT INTO c VALUES (200, @affine(7), 'x'), (201, @affine(8), @shout('y')), (202, @affine(7), NULL)", 2),
        ("INSERT INTO c (id, y) VALUES (203, 1 + @affine(9))", 1),
    ] {
        sql.batches(&called(statement)).await;
        let (model, rows, _) = sql.asked().await.remove(0);
        assert_eq!((model.as_str(), rows), ("affine", expected), "{statement}");
        sql.batches(&computed(&statement.replace("TABLE c ", "TABLE d ").replace("INTO c ", "INTO d "))).await;
        for (one, other) in [("c", "d"), ("d", "c")] {
            sql.check(&format!("SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other}"), &[]).await;
        }
    }
    sql.check("SELECT count(*) FROM c", &["59"]).await;
}

/// A limit ends the asking; so it does where the model decides which rows count.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_spares_the_rest() {
    const ROWS: &str = "SELECT value AS v FROM generate_series(1, 1000000) AS n (value)";
    let sql = calls::sql().await;
    for (statement, rows, asked_max) in [
        (format!("SELECT @affine(v) FROM ({ROWS}) LIMIT 10"), 10, 10),
        (format!("SELECT v FROM ({ROWS}) WHERE @affine(v) > 100 LIMIT 10"), 10, 60_000),
        (
            format!("SELECT v, @affine(v) FROM ({ROWS}) WHERE @affine(v) > 100 AND v % 2 = 0 LIMIT 10 OFFSET 5"),
            10,
            60_000,
        ),
        (format!("SELECT v, @affine(v) FROM ({ROWS}) ORDER BY v DESC LIMIT 10"), 10, 10),
        (format!("SELECT * FROM (SELECT v, @affine(v) AS y FROM ({ROWS})) WHERE v > 500 LIMIT 10"), 10, 10),
    ] {
        assert_eq!(sql.rows(&called(&statement)).await.len(), rows, "{statement}");
        let asked = sql.asked().await.first().map_or(0, |(_, rows, _)| *rows);
        assert!(asked <= asked_max, "{statement}: {asked}");
    }
}
