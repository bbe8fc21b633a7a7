//! Models through SQL: numbers against other libraries' numbers, the same bits whatever surrounds a row, failures.

/// The same input has the same bits in any batch, order and partitioning.
mod bits;
/// Requests, options and rows that don't fit.
mod errors;
/// Inputs and outputs of every type.
mod graphs;
/// Replaced, dropped, shared.
mod lifecycle;
/// Against sentence-transformers, scikit-learn's export and onnxruntime in Python.
mod references;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float32Type;
use datafusion::common::ScalarValue;

use super::harness::root;
use super::sql::Sql;

const MINILM_DIMENSION: usize = 384;

/// Texts of every kind and length.
fn texts() -> Vec<String> {
    let file = root().join("tests/data/embeddings/texts.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// A table `texts` of `id`, from 1, and `body`.
async fn store(sql: &Sql, texts: &[&str]) {
    let list = |values: Vec<ScalarValue>, kind| ScalarValue::List(ScalarValue::new_list_nullable(&values, &kind));
    let ids = (1..=texts.len() as i64).map(ScalarValue::from).collect();
    let ids = list(ids, arrow::datatypes::DataType::Int64);
    let bodies = texts.iter().map(|text| ScalarValue::from(*text)).collect();
    let bodies = list(bodies, arrow::datatypes::DataType::Utf8);
    sql.run_with(
        "CREATE TABLE texts AS SELECT unnest($1::BIGINT[]) AS id, unnest($2::TEXT[]) AS body",
        vec![ids, bodies],
    )
    .await;
}

/// The vectors in a column, none of them NULL.
fn vectors(batches: &[RecordBatch], column: usize) -> Vec<Vec<f32>> {
    let of = |batch: &RecordBatch| {
        let lists = batch.column(column).as_list::<i32>().clone();
        assert_eq!(lists.null_count(), 0);
        (0..lists.len()).map(|row| lists.value(row).as_primitive::<Float32Type>().values().to_vec()).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

/// The request of the model `breast_cancer` over the columns of its table.
fn measurements() -> String {
    let file = root().join("tests/data/demo/breast_cancer.csv");
    let text = std::fs::read_to_string(file).unwrap();
    let header = text.lines().next().unwrap();
    let names: Vec<&str> = header.split(',').filter(|name| !["id", "diagnosis", "split"].contains(name)).collect();
    assert_eq!(names.len(), 30);
    let fields: Vec<String> = names.iter().map(|name| format!("'{name}', {name}")).collect();
    format!("named_struct({})", fields.join(", "))
}

/// The model `breast_cancer` and its table `cancer`.
async fn breast_cancer(sql: &Sql) {
    sql.create_model("breast_cancer", "tests/data/demo/breast_cancer.onnx").await;
    external(sql, "cancer", "tests/data/demo/breast_cancer.csv").await;
}

/// A CSV file of the repository as a table.
async fn external(sql: &Sql, name: &str, path: &str) {
    let path = root().join(path);
    sql.batches(&format!(
        "CREATE EXTERNAL TABLE {name} STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true')",
        path.display()
    ))
    .await;
}
