//! Texts: the embedding model that `make setup` brings.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float32Type;

use super::Bench;

const TEXTS: &str = "SELECT id, 'text number ' || CAST(id % 37 AS TEXT) || repeat(' more of it', CAST(id % 11 AS BIGINT)) AS body \
                     FROM (SELECT value AS id FROM generate_series(1, 300) AS value) AS numbers";

#[tokio::test]
async fn the_same_text_has_the_same_bits_in_any_order_and_partitioning() {
    let bench = Bench::new().await;
    bench.run(&format!("CREATE TABLE texts AS {TEXTS}")).await.unwrap();
    let mut all = vec![];
    for (partitions, order) in [(1, "id"), (2, "id DESC"), (8, "body")] {
        bench.run(&format!("SET target_partitions = {partitions}")).await.unwrap();
        let sql = format!(
            "SELECT v FROM (SELECT id, embed(body) AS v FROM (SELECT * FROM texts ORDER BY {order})) ORDER BY id"
        );
        let batches = bench.run(&sql).await.unwrap();
        let bits: Vec<Vec<u32>> = batches
            .iter()
            .flat_map(|batch| {
                let lists = batch.column(0).as_list::<i32>();
                (0..lists.len())
                    .map(|row| {
                        lists.value(row).as_primitive::<Float32Type>().values().iter().map(|x| x.to_bits()).collect()
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!((bits.len(), bits[0].len()), (300, 384));
        all.push(bits);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn nearest_texts_embed_the_question_once() {
    let bench = Bench::new().await;
    bench.run("CREATE TABLE pages AS SELECT * FROM (VALUES ('floor', 'round a number down'), ('upper', 'capital letters'), \
               ('now', 'the current time')) AS pages (name, body)").await.unwrap();
    bench.run("CREATE TABLE vectors AS SELECT name, embed(body) AS v FROM pages").await.unwrap();
    let sql = "SELECT name FROM vectors ORDER BY cosine_distance(v, embed('how do I round a number down')) LIMIT 1";
    bench.check(sql, &["floor"], &[("all-MiniLM-L6-v2", 1, 1)]).await;
    let usage = bench.usage();
    assert!(usage.input_tokens > 5 && usage.runs == 1 && usage.user == "ada" && usage.device == "cpu", "{usage:?}");
}

#[tokio::test]
async fn explain_tells_model_device_and_metrics() {
    let bench = Bench::new().await;
    let sql = "SELECT CASE WHEN id > 2 THEN embed(word) END FROM points";
    let plan = bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
    assert!(plan.contains("InferenceExec: __call") && plan.contains("all-MiniLM-L6-v2@"), "{plan}");
    assert!(plan.contains("(points.word)") && plan.contains(" on cpu") && plan.contains(" where __guard"), "{plan}");
    let plan = bench.rows(&format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
    for metric in ["rows=4", "distinct_rows=3", "input_tokens=", "padded_tokens=", "run_time=", "queue_time="] {
        assert!(plan.contains(metric), "{metric} in {plan}");
    }
}

#[tokio::test]
async fn a_text_that_comes_again_is_not_sent_again() {
    let bench = Bench::new().await;
    bench.run("SET target_partitions = 1").await.unwrap();
    let sql = "SELECT count(embed('text ' || CAST(value % 40 AS TEXT))) FROM generate_series(1, 5000) AS value";
    let (rows, asked) = bench.counted(sql).await;
    assert_eq!(rows, ["5000"]);
    // Two windows are under way at once, and may both send what neither has an answer to.
    assert!(asked[0].1 == 5_000 && asked[0].2 <= 80, "{asked:?}");
}
