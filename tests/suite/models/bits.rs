//! One device gives one input the same bits: whatever batch it is in, in whatever order rows come, however many
//! partitions there are.

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Int64Type};
use datafusion::common::ScalarValue;

use super::super::harness::root;
use super::super::sql::{Sql, shown};
use super::{breast_cancer, measurements, store, texts, vectors};

/// Partitions, rows of a batch, and the order in which rows come.
const CIRCUMSTANCES: &[(usize, usize, &str)] =
    &[(1, 8192, "id"), (2, 8192, "id DESC"), (8, 5, "body"), (1, 64, "md5(body)")];

/// The bits of every vector, by id.
async fn bits(sql: &Sql, select: &str) -> Vec<(i64, Vec<u32>)> {
    let batches = sql.batches(select).await;
    let ids = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
    let vectors = vectors(&batches, 1);
    let mut rows: Vec<_> =
        ids.zip(vectors.into_iter().map(|vector| vector.into_iter().map(f32::to_bits).collect())).collect();
    rows.sort();
    rows
}

async fn set(sql: &Sql, partitions: usize, batch_size: usize) {
    sql.batches(&format!("SET target_partitions = {partitions}; SET batch_size = {batch_size}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_have_the_same_vectors() {
    let all = texts();
    let some: Vec<&str> = all.iter().step_by(6).map(String::as_str).collect();
    let sql = Sql::new().await;
    store(&sql, &some).await;
    let mut seen: Option<Vec<(i64, Vec<u32>)>> = None;
    for (partitions, batch_size, order) in CIRCUMSTANCES {
        set(&sql, *partitions, *batch_size).await;
        let rows = bits(&sql, &format!("SELECT id, embed(body) FROM (SELECT * FROM texts ORDER BY {order})")).await;
        assert_eq!(rows.len(), some.len());
        assert!(seen.as_ref().is_none_or(|seen| *seen == rows), "{partitions} partitions, by {order}");
        seen = Some(rows);
    }
    let seen = seen.unwrap();
    // Alone, and as a constant, a text has what it has in company.
    for (id, vector) in seen.iter().step_by(9) {
        let text = some[*id as usize - 1];
        let alone = vectors(&sql.run_with("SELECT embed($1)", vec![ScalarValue::from(text)]).await, 0);
        assert!(alone[0].iter().map(|number| number.to_bits()).eq(vector.iter().copied()), "{text:?}");
        let one = bits(&sql, &format!("SELECT id, embed(body) FROM texts WHERE id = {id}")).await;
        assert!(one[0].1 == *vector, "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn micro_batches_of_another_size_change_nothing() {
    let all = texts();
    let some: Vec<&str> = all.iter().skip(3).step_by(12).map(String::as_str).collect();
    let sql = Sql::new().await;
    store(&sql, &some).await;
    let folder = root().join(".setup/models");
    let mut seen: Vec<Vec<String>> = vec![];
    for (name, options) in
        [("plain", ""), ("small", " WITH (batch_tokens = 300)"), ("single", " WITH (batch_rows = 1)")]
    {
        sql.batches(&format!("CREATE MODEL {name} FROM '{}/all-MiniLM-L6-v2'{options}", folder.display())).await;
        sql.batches(&format!("CREATE MODEL {name}_label FROM '{}/ticket-classifier'{options}", folder.display())).await;
        // Floats are shown so that they read back as the same bits.
        seen.push(
            sql.rows(&format!("SELECT embed(body, '{name}'), ai_query('{name}_label', body) FROM texts ORDER BY id"))
                .await,
        );
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_have_the_same_scores() {
    let sql = Sql::new().await;
    breast_cancer(&sql).await;
    sql.batches("CREATE TABLE measured AS SELECT * FROM cancer").await;
    sql.create_model("perceptron", "tests/data/models/perceptron.onnx").await;
    let path = root().join("tests/data/models/perceptron.onnx");
    sql.batches(&format!("CREATE MODEL narrow FROM '{}' WITH (batch_rows = 3)", path.display())).await;
    let waves: Vec<String> = (1..=37).map(|wave| format!("sin(id * {wave} / 7.0)")).collect();
    let waves = waves.join(", ");
    let request = measurements();
    let mut seen: Vec<Vec<String>> = vec![];
    for (partitions, batch_size, order) in CIRCUMSTANCES {
        set(&sql, *partitions, *batch_size).await;
        let order = order.replace("body", "diagnosis || CAST(mean_area AS TEXT)");
        let batches = sql
            .batches(&format!(
                "SELECT id, ai_query('breast_cancer', {request}) AS c, ai_query('perceptron', [{waves}]) AS p, \
                 ai_query('narrow', [{waves}]) AS n FROM (SELECT * FROM measured ORDER BY {order})"
            ))
            .await;
        for batch in &batches {
            assert_eq!(batch.column(2), batch.column(3));
            assert!(batch.column(2).as_list::<i32>().values().as_primitive::<Float32Type>().values().len() >= 6);
        }
        let mut rows = shown(&batches);
        rows.sort();
        seen.push(rows);
    }
    assert_eq!(seen[0].len(), 569);
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    for id in [1, 77, 569] {
        let alone = sql
            .rows(&format!(
                "SELECT id, ai_query('breast_cancer', {request}) AS c, ai_query('perceptron', [{waves}]) AS p, \
                 ai_query('narrow', [{waves}]) AS n FROM measured WHERE id = {id}"
            ))
            .await;
        assert!(seen[0].contains(&alone[0]), "{alone:?}");
    }
}
