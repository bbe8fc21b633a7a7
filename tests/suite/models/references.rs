//! Numbers against those of other libraries, stored in `tests/data`.

use super::super::harness::root;
use super::super::sql::Sql;
use super::{MINILM_DIMENSION, breast_cancer, external, measurements, store, texts, vectors};

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_are_those_of_sentence_transformers() {
    const DIFFERENCE_MAX: f32 = 1e-5;
    let bytes = std::fs::read(root().join("tests/data/embeddings/vectors.f32")).unwrap();
    let expected: Vec<f32> =
        bytes.chunks_exact(4).map(|number| f32::from_le_bytes(number.try_into().unwrap())).collect();
    let texts = texts();
    assert_eq!((texts.len(), expected.len()), (500, 500 * MINILM_DIMENSION));

    let sql = Sql::new().await;
    store(&sql, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let vectors = vectors(&sql.batches("SELECT embed(body) FROM texts ORDER BY id").await, 0);
    assert_eq!(vectors.len(), texts.len());
    for (row, (vector, expected)) in vectors.iter().zip(expected.chunks(MINILM_DIMENSION)).enumerate() {
        let difference = vector.iter().zip(expected).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(vector.len() == MINILM_DIMENSION && difference <= DIFFERENCE_MAX, "{difference} for {:?}", texts[row]);
    }
    let (_, rows, distinct_rows) = sql.asked().await.remove(0);
    let mut distinct = texts.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((rows, distinct_rows), (500, distinct.len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn classifier_scores_are_those_of_onnxruntime_in_python() {
    let sql = Sql::new().await;
    breast_cancer(&sql).await;
    external(&sql, "expected", "tests/data/demo/breast_cancer_scores.csv").await;
    let request = measurements();
    sql.batches(&format!(
        "CREATE TABLE scored AS SELECT id, ai_query('breast_cancer', {request}) AS score FROM cancer"
    ))
    .await;
    sql.check(
        "SELECT count(*), \
         count(*) FILTER (WHERE (score).label = expected.label), \
         max(greatest(abs((score).probabilities[1] - benign), abs((score).probabilities[2] - malignant))) <= 1e-6 \
         FROM scored JOIN expected USING (id)",
        &["569|569|true"],
    )
    .await;
    assert_eq!(sql.asked().await, [("breast_cancer".to_owned(), 569, 569)]);

    // One input of thirty values: named columns and a list of them are the same request.
    let list = request.trim_start_matches("named_struct(").trim_end_matches(')').split(", ");
    let list: Vec<&str> = list.filter(|part| !part.starts_with('\'')).collect();
    sql.check(
        &format!(
            "SELECT count(*) FROM cancer JOIN scored USING (id) WHERE ai_query('breast_cancer', [{}]) = score",
            list.join(", ")
        ),
        &["569"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_labels_are_those_of_onnxruntime_in_python() {
    let sql = Sql::new().await;
    sql.create_model("tickets", ".setup/models/ticket-classifier").await;
    external(&sql, "ticket", "tests/data/demo/tickets.csv").await;
    external(&sql, "expected", "tests/data/calls/ticket_scores.csv").await;
    sql.check(
        "SELECT count(*), count(*) FILTER (WHERE (answer).label = label), max(abs((answer).score - score)) <= 1e-6 \
         FROM (SELECT id, ai_query('tickets', text) AS answer FROM ticket) AS answered JOIN expected USING (id)",
        &["360|360|true"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_classifiers_are_those_of_onnxruntime_in_python() {
    let expected = std::fs::read_to_string(root().join("tests/data/models/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let sql = Sql::new().await;
    sql.create_model("boosted", "tests/data/models/boosted.onnx").await;
    sql.create_model("zipmap", "tests/data/models/zipmap_text.onnx").await;
    let (boosted, zipmap) = (&expected["boosted"], &expected["zipmap_text"]);
    for (row, features) in boosted["features"].as_array().unwrap().iter().enumerate() {
        let rows = sql
            .rows(&format!(
                "SELECT (b).label, (b).probabilities[1], (b).probabilities[2], (b).probabilities[3], \
                 (z).output_label, (z).output_probability['blue'], (z).output_probability['green'], \
                 (z).output_probability['red'] \
                 FROM (SELECT ai_query('boosted', {features}) AS b, ai_query('zipmap', {features}) AS z)"
            ))
            .await;
        let cells: Vec<&str> = rows[0].split('|').collect();
        assert_eq!((cells[0], cells[4]), (text(&boosted["label"][row]), text(&zipmap["label"][row])), "{features}");
        let maps = &zipmap["maps"][row];
        let scores =
            [&boosted["probabilities"][row][0], &boosted["probabilities"][row][1], &boosted["probabilities"][row][2]];
        let scores = scores.into_iter().chain([&maps["blue"], &maps["green"], &maps["red"]]);
        let found = cells[1..4].iter().chain(&cells[5..8]);
        for (found, score) in found.zip(scores) {
            let difference = found.parse::<f64>().unwrap() - score.as_f64().unwrap();
            assert!(difference.abs() <= 1e-6, "{found} is not {score}");
        }
    }
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap()
}
