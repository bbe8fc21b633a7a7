//! Failing rows, NULL, casts, refusals.

use std::time::{Duration, Instant};

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use futures::{StreamExt, TryStreamExt};

use super::Bench;
use crate::error::Kind;

#[tokio::test]
async fn a_failing_row_fails_the_statement_or_is_a_value() {
    let bench = Bench::new().await;
    let error = bench.error("SELECT ai_query('parse', word) FROM points").await;
    assert_ne!(error.kind, Kind::Internal, "{error}");
    let sql = "SELECT id, (ai_query('parse', word, failOnError => false)).result, \
               (ai_query('parse', word, failOnError => false)).errorMessage IS NOT NULL FROM points ORDER BY id";
    bench
        .check(
            sql,
            &["1|10.0|false", "2|20.0|false", "3|NULL|true", "4|40.0|false", "5|10.0|false", "6|NULL|false"],
            &[("parse", 6, 4)],
        )
        .await;
    assert_eq!(bench.usage().errors, 1);
}

#[tokio::test]
async fn null_in_null_out() {
    let bench = Bench::new().await;
    bench
        .check(
            "SELECT ai_query('double', CASE WHEN id > 4 THEN v END) FROM points ORDER BY id",
            &["NULL", "NULL", "NULL", "NULL", "10.0", "12.0"],
            &[("double", 6, 2)],
        )
        .await;
    bench.check("SELECT ai_query('double', CAST(NULL AS DOUBLE))", &["NULL"], &[("double", 1, 0)]).await;
    bench.check("SELECT ai_query('double', NULL)", &["NULL"], &[("double", 1, 0)]).await;
}

#[tokio::test]
async fn answers_are_cast_as_asked() {
    let bench = Bench::new().await;
    let sql = "SELECT ai_query('double', v, returnType => 'INT') FROM points WHERE id = 4";
    bench.check(sql, &["8"], &[("double", 1, 1)]).await;
    let sql = "SELECT ai_query('double', v, returnType => 'STRING') || '!' FROM points WHERE id = 4";
    bench.check(sql, &["8.0!"], &[("double", 1, 1)]).await;
    let error = bench.error("SELECT ai_query('double', v, returnType => 'ARRAY<STRUCT<a: INT>>') FROM points").await;
    assert_eq!(error.kind, Kind::DatatypeMismatch, "{error}");
}

#[tokio::test]
async fn wrong_calls_are_found_while_preparing() {
    let bench = Bench::new().await;
    for (sql, kind) in [
        ("SELECT ai_query('duble', v) FROM points", Kind::UndefinedObject),
        ("SELECT ai_query('add', named_struct('a', v)) FROM points", Kind::InvalidParameterValue),
        (
            "SELECT id FROM points WHERE id IN (SELECT ai_query('add', named_struct('a', 1, 'b', 2, 'c', 3)))",
            Kind::InvalidParameterValue,
        ),
    ] {
        let statement = bench.session.parse(sql).unwrap().remove(0);
        let error = bench.session.prepare(statement, &[]).await.unwrap_err();
        assert!(error.kind == kind || error.detail.is_some(), "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_lifted_is_refused() {
    let bench = Bench::new().await;
    for sql in [
        "SELECT a.id FROM points a LEFT JOIN points b ON ai_query('add', named_struct('a', a.v, 'b', b.v)) > 10",
        "SELECT id FROM points LIMIT CAST(ai_query('double', 1.0) AS INT)",
    ] {
        let error = bench.error(sql).await;
        assert_eq!(error.kind, Kind::FeatureNotSupported, "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn a_memory_limit_ends_the_statement() {
    let bench = Bench::with(|config| config.memory_limit_bytes = Some(100_000)).await;
    let sql = "SELECT max(ai_query('double', value)) FROM generate_series(1, 1000000) AS value";
    assert_eq!(bench.error(sql).await.kind, Kind::OutOfMemory);
}

#[tokio::test]
async fn dropping_the_stream_ends_the_work() {
    let bench = Bench::new().await;
    let sql = "SELECT ai_query('double', value) FROM generate_series(1, 100000000) AS value";
    let statement = bench.session.parse(sql).unwrap().remove(0);
    let prepared = bench.session.prepare(statement, &[]).await.unwrap();
    let mut execution = bench.session.execute(&prepared, vec![]).await.unwrap();
    assert!(execution.stream.next().await.unwrap().is_ok());
    let started = Instant::now();
    drop(execution);
    let asked = bench.usage().rows;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.usage().rows, asked);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn parameters_are_arguments() {
    let bench = Bench::new().await;
    let sql = "SELECT ai_query('double', $1), ai_query('double', v + $1) FROM points WHERE id = $2";
    let statement = bench.session.parse(sql).unwrap().remove(0);
    let types = [Some(DataType::Float64), Some(DataType::Int32)];
    let prepared = bench.session.prepare(statement, &types).await.unwrap();
    assert_eq!(prepared.schema.field(0).data_type(), &DataType::Float32);
    for (first, expected) in [(1.0, "2.0|8.0"), (2.0, "4.0|10.0")] {
        let values = vec![ScalarValue::Float64(Some(first)), ScalarValue::Int32(Some(3))];
        let execution = bench.session.execute(&prepared, values).await.unwrap();
        let batches: Vec<_> = execution.stream.try_collect().await.unwrap();
        assert_eq!(batches.iter().flat_map(super::shown).collect::<Vec<_>>(), [expected]);
    }
}

#[tokio::test]
async fn a_replaced_model_answers_the_next_execution() {
    let bench = Bench::new().await;
    let sql = "SELECT ai_query('double', v) FROM points WHERE id = 3";
    let statement = bench.session.parse(sql).unwrap().remove(0);
    let prepared = bench.session.prepare(statement, &[]).await.unwrap();
    let path = bench.folder.path().join("negative.onnx");
    bench.run(&format!("CREATE OR REPLACE MODEL double FROM '{}'", path.display())).await.unwrap();
    let execution = bench.session.execute(&prepared, vec![]).await.unwrap();
    let batches: Vec<_> = execution.stream.try_collect().await.unwrap();
    assert_eq!(batches.iter().flat_map(super::shown).collect::<Vec<_>>(), ["-3.0"]);
}
