//! A model that doubles must give what doubling gives, wherever it is written.

use super::Bench;

/// `D(x)` stands for the call, or for `2.0 * (x)`.
const STATEMENTS: &[&str] = &[
    "SELECT *, D(v) FROM points",
    "SELECT p.*, D(p.v) AS d, D(p.k) AS e FROM points AS p (id, v, k, w)",
    "SELECT D(v) AS v, v AS old FROM points ORDER BY v, old",
    "SELECT D(v) + D(k), D(v + k) FROM points WHERE D(v) BETWEEN 4 AND 10 AND D(k) IN (0, D(1))",
    "SELECT * FROM (SELECT *, D(v) AS d FROM points) AS s WHERE d > 4 AND id < 6 AND d + id < 14",
    "SELECT id FROM points WHERE NOT (D(v) > 6 OR k = 1)",
    "SELECT id FROM points WHERE (D(v) > 6) IS TRUE AND D(v) IS NOT NULL",
    // Joins of every kind.
    "SELECT * FROM points a JOIN points b USING (id) WHERE D(a.v) = D(b.v)",
    "SELECT id, D(v) FROM points JOIN (SELECT id, D(k) AS e FROM points) AS b USING (id) WHERE e > 0",
    "SELECT a.id, b.id FROM points a LEFT JOIN points b ON D(a.v) = b.v AND D(b.k) >= 0",
    "SELECT a.id, b.id FROM points a RIGHT JOIN points b ON D(a.v) = b.v AND D(b.v) > 5",
    "SELECT a.id, b.id FROM points a FULL JOIN points b ON D(a.v) = b.v AND a.k = b.k",
    "SELECT a.id, b.id, D(b.v) FROM points a LEFT JOIN points b ON a.v = D(b.v)",
    "SELECT a.id, b.d FROM points a LEFT JOIN (SELECT id, D(v) AS d FROM points WHERE D(v) > 4) b ON a.id = b.id",
    "SELECT a.id, b.id FROM points a, points b WHERE D(a.v) > 8 AND D(b.v) < 4",
    "SELECT a.id, b.id FROM points a JOIN points b ON D(a.v + b.v) > 20 AND a.id <> b.id",
    "SELECT a.id FROM points a JOIN points b ON CASE WHEN b.k = 1 THEN D(a.v) ELSE 0 END > 8",
    "SELECT a.id FROM points a CROSS JOIN (SELECT max(D(v)) AS m FROM points) AS m WHERE D(a.v) = m.m",
    // Subqueries.
    "SELECT id FROM points WHERE D(v) NOT IN (SELECT v FROM points)",
    "SELECT id FROM points WHERE v NOT IN (SELECT D(v) FROM points WHERE D(k) = 0)",
    "SELECT id FROM points a WHERE NOT EXISTS (SELECT 1 FROM points b WHERE b.v = D(a.v))",
    "SELECT id FROM points a WHERE EXISTS (SELECT 1 FROM points b WHERE D(b.v) = D(a.v) AND b.k = a.k)",
    "SELECT id FROM points a WHERE D(v) > (SELECT avg(D(b.v)) FROM points b WHERE b.k = a.k)",
    "SELECT id, (SELECT count(*) FROM points b WHERE b.k = a.k AND D(b.v) > 4) FROM points a",
    "SELECT id, D((SELECT max(v) FROM points)) FROM points WHERE id IN (SELECT id FROM points WHERE D(v) > 4)",
    "SELECT id, D(v) > ALL (SELECT v FROM points) FROM points",
    "SELECT (SELECT D(max(v)) FROM points WHERE D(k) > 0), D(1.0)",
    "SELECT a.id, l.d FROM points a, LATERAL (SELECT D(b.v) AS d FROM points b WHERE b.id = a.id) AS l",
    // Grouping.
    "SELECT D(k), D(sum(v)), sum(D(v)), count(DISTINCT D(k)) FROM points GROUP BY D(k)",
    "SELECT D(k) + 1, count(*) FROM points GROUP BY D(k) + 1 HAVING sum(D(v)) > D(5)",
    "SELECT k, D(k), grouping(k) FROM points GROUP BY GROUPING SETS ((k), ())",
    "SELECT D(k), D(id), sum(v) FROM points GROUP BY CUBE (D(k), D(id))",
    "SELECT sum(v) FILTER (WHERE v > D(1.5)), count(*) FILTER (WHERE D(v) > D(2.0)) FROM points",
    "SELECT v > D(1.5), count(*) FROM points GROUP BY v > D(1.5)",
    "SELECT string_agg(CAST(id AS TEXT), ',' ORDER BY D(v) DESC) FROM points",
    "SELECT max(D(v)) - min(D(v)) FROM points WHERE false",
    "SELECT DISTINCT D(k), k FROM points",
    "SELECT DISTINCT ON (k) k, D(v) FROM points ORDER BY k, D(v) DESC",
    // Windows.
    "SELECT id, rank() OVER (PARTITION BY k ORDER BY D(v) DESC), lag(D(v)) OVER (ORDER BY id) FROM points",
    "SELECT id, sum(D(v)) OVER (ORDER BY v - D(1.5) ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM points",
    "SELECT id, D(sum(v) OVER (PARTITION BY D(k))) FROM points",
    "SELECT id, count(*) FILTER (WHERE D(v) > 4) OVER (PARTITION BY k) FROM points",
    "SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY k ORDER BY D(v)) AS n FROM points) AS r WHERE n = 1",
    "SELECT id, avg(v) OVER (PARTITION BY v > D(1.5) ORDER BY D(v)) FROM points ORDER BY id - D(2.5)",
    "SELECT k, sum(id) FROM points GROUP BY k ORDER BY sum(id) - D(1.5), D(k)",
    // Sets, values, recursion.
    "SELECT D(v) FROM points UNION SELECT D(k) FROM points",
    "SELECT D(v) FROM points INTERSECT SELECT v FROM points",
    "SELECT v FROM points EXCEPT ALL SELECT D(v) FROM points",
    "VALUES (1, D(1.0)), (2, D(2.0) + 1)",
    "SELECT D(column1) FROM (VALUES (D(1.0)), (D(2.0)), (D(D(3.0)))) AS x",
    "WITH RECURSIVE r (n) AS (SELECT 1.0 UNION ALL SELECT CAST(D(n) AS DOUBLE) FROM r WHERE n < 20) SELECT n FROM r",
    "WITH s AS (SELECT id, D(v) AS d FROM points) SELECT a.id, b.d FROM s a JOIN s b ON a.d = b.d WHERE a.d > 4",
    "SELECT unnest([D(v), D(k)]) FROM points",
    "SELECT D(v), D(D(v)) FROM points WHERE false UNION ALL SELECT D(1), D(D(1))",
    "SELECT i.d FROM (SELECT D(v) AS d FROM points UNION ALL SELECT D(k) FROM points) AS i WHERE i.d > 4",
    // Order and limits.
    "SELECT id, D(v) AS d FROM points ORDER BY id DESC LIMIT 3",
    "SELECT D(v) AS d, D(k) AS e, id FROM points ORDER BY e, id LIMIT 4",
    "SELECT D(v) + id FROM points WHERE D(v) > 2 ORDER BY id DESC OFFSET 1 LIMIT 3",
    "SELECT x.d FROM (SELECT D(v) AS d, id FROM points ORDER BY id LIMIT 4) AS x ORDER BY x.d DESC LIMIT 2",
    "SELECT id FROM points ORDER BY D(k), D(v) DESC LIMIT 3",
    "SELECT k, sum(D(v)) AS s FROM points GROUP BY k ORDER BY s DESC LIMIT 1",
    // Conditions.
    "SELECT CASE WHEN D(v) > 8 THEN D(k) WHEN D(k) > 0 THEN D(v) ELSE -D(v) END FROM points",
    "SELECT CASE D(k) WHEN 0 THEN D(v) WHEN D(1) THEN D(id) END FROM points",
    "SELECT coalesce(nullif(D(v), 4), D(k), 1), nvl2(nullif(k, 0), D(v), D(id)) FROM points",
    "SELECT id FROM points WHERE (k = 1 OR D(v) > 8) AND (k = 0 OR D(v) < 8 OR D(id) > 100)",
    "SELECT k = 1 AND D(v) > 4 OR k = 0 AND NOT D(v) > 4 FROM points",
    "SELECT id FROM points WHERE CASE WHEN id > 3 THEN D(v) > 8 ELSE D(k) > 0 END",
];

#[tokio::test]
async fn a_call_is_its_value() {
    let bench = Bench::new().await;
    let mut wrong = vec![];
    for statement in STATEMENTS {
        for partitions in [1, 3] {
            bench.run(&format!("SET target_partitions = {partitions}")).await.unwrap();
            let called = bench.run(&statement.replace("D(", "ai_query('double', ")).await;
            let computed = bench.run(&statement.replace("D(", "2.0 * (")).await;
            let (called, computed) = match (called, computed) {
                (Ok(called), Ok(computed)) => (sorted(&called), sorted(&computed)),
                (called, computed) => {
                    (vec![format!("{:?}", called.map(|_| "runs"))], vec![format!("{:?}", computed.map(|_| "runs"))])
                }
            };
            if called != computed {
                wrong.push(format!("{statement}\n  called   {called:?}\n  computed {computed:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Numbers as one type shows them.
fn sorted(batches: &[arrow::array::RecordBatch]) -> Vec<String> {
    let number = |cell: &str| cell.parse::<f64>().map_or_else(|_| cell.to_owned(), |number| number.to_string());
    let row = |row: String| row.split('|').map(number).collect::<Vec<_>>().join("|");
    let mut rows: Vec<String> = batches.iter().flat_map(super::shown).map(row).collect();
    rows.sort();
    rows
}
