//! Models that come, change and go while statements use them.

use futures::{StreamExt, TryStreamExt};

use super::super::harness::root;
use super::super::sql::{Sql, shown};

fn stored(sql: &Sql) -> Vec<String> {
    let entries = std::fs::read_dir(sql.data_dir().join("models")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_statement_keeps_the_model_it_began_with() {
    let sql = Sql::new().await;
    let data = root().join("tests/data/calls");
    for change in
        ["DROP MODEL m".to_owned(), format!("CREATE OR REPLACE MODEL m FROM '{}/positive.onnx'", data.display())]
    {
        sql.batches(&format!("CREATE OR REPLACE MODEL m FROM '{}/affine.onnx'", data.display())).await;
        let statement = "SELECT ai_query('m', value) AS y FROM generate_series(1, 200000) AS n (value)";
        let prepared = sql.session.prepare(sql.session.parse(statement).unwrap().remove(0), &[]).await.unwrap();
        let mut execution = sql.session.execute(&prepared, vec![]).await.unwrap();
        let first = execution.stream.next().await.unwrap().unwrap();
        let other = sql.engine.session("another", "alluvia").unwrap();
        let changing = other.prepare(other.parse(&change).unwrap().remove(0), &[]).await.unwrap();
        other.execute(&changing, vec![]).await.unwrap().stream.try_collect::<Vec<_>>().await.unwrap();
        let rest: Vec<_> = execution.stream.try_collect().await.unwrap();
        let rows = shown(&[vec![first], rest].concat());
        assert_eq!((rows.len(), rows[0].as_str(), rows[199_999].as_str()), (200_000, "-2.0", "599995.0"));
    }
    assert_eq!(stored(&sql).len(), 1);
    // A statement that begins now has the new one.
    sql.check("SELECT ai_query('m', 1)", &["true"]).await;
    sql.batches("DROP MODEL m").await;
    assert!(stored(&sql).is_empty());
    assert!(sql.error("SELECT ai_query('m', 1)").await.starts_with("42704"));
}

#[tokio::test]
async fn names_share_content_and_replacing_changes_it() {
    let sql = Sql::new().await;
    sql.create_model("one", "tests/data/calls/affine.onnx").await;
    sql.create_model("two", "tests/data/calls/affine.onnx").await;
    sql.check("SELECT count(*), count(DISTINCT sha256) FROM system.models", &["2|1"]).await;
    assert_eq!(stored(&sql).len(), 1);
    let before = sql.rows("SELECT sha256 FROM system.models WHERE name = 'two'").await;
    assert_eq!(stored(&sql), before);

    let path = root().join("tests/data/calls/shout.onnx");
    sql.batches(&format!("CREATE OR REPLACE MODEL two FROM '{}'", path.display())).await;
    let after = sql.rows("SELECT sha256 FROM system.models WHERE name = 'two'").await;
    assert!(after != before && stored(&sql).len() == 2);
    sql.check("SELECT ai_query('one', 2), ai_query('two', 'x')", &["1.0|x!"]).await;
    sql.batches("DROP MODEL one").await;
    assert_eq!(stored(&sql), after);

    let error = sql.error(&format!("CREATE MODEL two FROM '{}'", path.display())).await;
    assert!(error.starts_with("42710") && error.contains("CREATE OR REPLACE MODEL"), "{error}");
    sql.batches(&format!("CREATE MODEL IF NOT EXISTS two FROM '{}'", path.display())).await;
    sql.batches("DROP MODEL IF EXISTS one").await;
    assert!(sql.error("DROP MODEL one").await.starts_with("42704"));
}

#[tokio::test]
async fn the_catalog_says_what_a_model_is_and_where_it_runs() {
    let sql = Sql::new().await;
    let data = root().join("tests/data");
    sql.batches(&format!("CREATE MODEL tab FROM '{}/models/boosted.onnx' WITH (device = 'auto')", data.display()))
        .await;
    sql.batches(&format!("CREATE MODEL enc FROM '{}/models/tiny-encoder' WITH (pooling = 'cls')", data.display()))
        .await;
    sql.batches(&format!("CREATE MODEL lab FROM '{}/models/tiny-classifier'", data.display())).await;
    sql.check(
        "SELECT name, kind, task, device, inputs, outputs, tokenizer, pooling, dimension, max_length, labels, owner \
         FROM system.models ORDER BY name",
        &[
            "enc|encoder|feature-extraction|cpu|text TEXT|last_hidden_state FLOAT[][16]|WordLevel|cls|16|12|NULL|tester",
            "lab|classifier|text-classification|cpu|text TEXT|logits FLOAT[3]|WordLevel|NULL|NULL|12|\
             [negative, neutral, positive]|tester",
            "tab|graph|tabular|auto|features FLOAT[6]|label TEXT, probabilities FLOAT[3]|NULL|NULL|NULL|NULL|NULL|tester",
        ],
    )
    .await;
    // Making a model opened it, so that it is known which device `auto` took.
    sql.check(
        "SELECT name, device_used, size_bytes > 0, length(sha256) FROM system.models ORDER BY name",
        &["enc|cpu|true|64", "lab|cpu|true|64", "tab|cpu|true|64"],
    )
    .await;
    sql.check("SELECT (ai_query('lab', 'a very good film')).label IS NOT NULL", &["true"]).await;
    let usage = sql.rows("SELECT model, device, \"user\", errors FROM system.inference_usage").await;
    assert_eq!(usage, ["lab|cpu|tester|0"]);
}
