//! What a table demands of its rows, held by INSERT and by CTAS alike.

use arrow::datatypes::{DataType, Field, Fields, Schema};

use super::*;
use crate::{Check, Error, Generated};

fn schema(fields: Vec<Field>) -> TableSpec {
    TableSpec::new(Arc::new(Schema::new(fields)))
}

fn check(name: &str, sql: &str) -> Check {
    Check { name: name.into(), expression_sql: sql.into() }
}

/// Tries the rows as an INSERT and as a CTAS; both must say the same.
async fn refused(place: &Place, spec: &TableSpec, query: &str) -> Error {
    if !place.path("t").exists() {
        place.create("t", spec).await;
    }
    let before = place.lake.open(&place.url("t")).await.unwrap().version();
    let inserted = place.insert("t", query).await.unwrap_err();
    assert_eq!(place.lake.open(&place.url("t")).await.unwrap().version(), before);
    let plan = place.plan(query).await;
    let created = place.lake.create_as(&place.url("new"), spec, plan, &place.session()).await.unwrap_err();
    assert_eq!(inserted.to_string(), created.to_string());
    assert!(!place.path("new").exists());
    inserted
}

#[tokio::test(flavor = "multi_thread")]
async fn not_null_holds_at_any_depth() {
    let place = Place::new();
    let part = Fields::from(vec![Field::new("x", DataType::Int64, false)]);
    let element = Field::new("element", DataType::Int64, false);
    let spec = schema(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("part", DataType::Struct(part), true),
        Field::new("list", DataType::List(Arc::new(element)), true),
    ]);
    let error = refused(&place, &spec, "SELECT NULL::bigint AS id").await;
    assert_eq!(error.to_string(), "null value in column \"id\" violates not-null constraint");
    assert_eq!(error.detail().unwrap(), "Failing row contains (null, null, null).");
    let error = refused(&place, &spec, "SELECT named_struct('x', 1) AS part").await;
    assert!(matches!(&error, Error::NotNullViolation { column, .. } if column == "id"));
    let error = refused(&place, &spec, "SELECT 1 AS id, named_struct('x', NULL::bigint) AS part").await;
    assert!(matches!(&error, Error::NotNullViolation { column, .. } if column == "part.x"), "{error}");
    let error = refused(&place, &spec, "SELECT 1 AS id, [1, NULL] AS list").await;
    assert!(matches!(&error, Error::NotNullViolation { column, .. } if column == "list.element"), "{error}");
    place.insert("t", "SELECT 1 AS id, named_struct('x', 2) AS part, [3] AS list").await.unwrap();
    place.insert("t", "SELECT 2 AS id").await.unwrap();
    place
        .check(
            "SELECT id, part, list FROM t ORDER BY id",
            "| id | part   | list |\n| 1  | {x: 2} | [3]  |\n| 2  |        |      |",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_must_be_true_for_every_row() {
    let place = Place::new();
    let mut spec = schema(vec![Field::new("Price", DataType::Float64, true), Field::new("n", DataType::Int32, true)]);
    spec.checks = vec![check("cheap", "price < 100 AND price > 0"), check("some", "n IS NULL OR n IN (1, 2)")];
    let error = refused(&place, &spec, "SELECT 1.0 AS \"Price\" UNION ALL SELECT 200").await;
    assert_eq!(error.to_string(), "new row violates check constraint \"cheap\"");
    let detail = "The expression is price < 100 AND price > 0. Failing row contains (200.0, null).";
    assert_eq!(error.detail().unwrap(), detail);
    let error = refused(&place, &spec, "SELECT NULL::double AS \"Price\"").await;
    assert!(matches!(&error, Error::CheckViolation { constraint, .. } if constraint == "cheap"));
    assert!(error.hint().unwrap().contains("NULL"));
    let error = refused(&place, &spec, "SELECT 5.0 AS \"Price\", 3 AS n").await;
    assert!(matches!(&error, Error::CheckViolation { constraint, .. } if constraint == "some"));
    place.insert("t", "SELECT 5.0 AS \"Price\", 2 AS n").await.unwrap();
    assert_eq!(place.count("t").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_cannot_be_evaluated_stops_the_write() {
    let place = Place::new();
    let mut spec = schema(vec![Field::new("n", DataType::Int32, true)]);
    spec.checks = vec![check("odd", "no_such_function(n)")];
    let error = refused(&place, &spec, "SELECT 1 AS n").await;
    assert!(matches!(&error, Error::UnsupportedFeature { name } if name.contains("no_such_function")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_columns_are_computed_or_verified() {
    let place = Place::new();
    let mut spec = schema(vec![
        Field::new("at", DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None), true),
        Field::new("day", DataType::Date32, true),
        Field::new("n", DataType::Int32, true),
    ]);
    spec.generated = vec![
        Generated { column: "day".into(), expression_sql: "CAST(at AS DATE)".into() },
        Generated { column: "n".into(), expression_sql: "length(arrow_typeof(at)) * 0 + 7".into() },
    ];
    let at = "timestamp '2026-11-20 12:00:00' AS at";
    let error = refused(&place, &spec, &format!("SELECT {at}, date '2026-11-21' AS day")).await;
    assert_eq!(error.to_string(), "value of column \"day\" differs from its generation expression");
    place.insert("t", &format!("SELECT {at}")).await.unwrap();
    place.insert("t", &format!("SELECT {at}, date '2026-11-20' AS day")).await.unwrap();
    place.insert("t", "SELECT NULL::timestamp AS at, NULL::date AS day").await.unwrap();
    place
        .check(
            "SELECT day, n, count(*) AS c FROM t GROUP BY 1, 2 ORDER BY 1",
            "| day        | n | c |\n| 2026-11-20 | 7 | 2 |\n|            | 7 | 1 |",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_with_a_generated_partition() {
    let place = Place::new();
    let mut spec = place.spec("SELECT 1::bigint AS n, 1::bigint AS bucket").await;
    spec.partition_columns = vec!["bucket".into()];
    spec.generated = vec![Generated { column: "bucket".into(), expression_sql: "n % 4".into() }];
    place.create("t", &spec).await;
    let written = place.insert("t", "SELECT value AS n FROM range(1000)").await.unwrap();
    assert_eq!((written.rows, written.files_added), (1000, 4));
    place.check("SELECT count(*) AS c, min(n) AS m FROM t WHERE bucket = 3", "| c   | m |\n| 250 | 3 |").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_do_not_belong_are_refused() {
    let place = Place::new();
    let spec = schema(vec![Field::new("n", DataType::Int32, true)]);
    let error = refused(&place, &spec, "SELECT 1 AS m").await;
    assert_eq!(error.to_string(), "the table has no column \"m\"");
    let error = refused(&place, &spec, "SELECT [1] AS n").await;
    assert!(matches!(error, Error::CastFailed { .. }), "{error}");
    let error = refused(&place, &spec, "SELECT 'seven' AS n").await;
    assert!(matches!(&error, Error::CastFailed { column, .. } if column == "n"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_validated_before_there_is_a_row() {
    let place = Place::new();
    let fields = || vec![Field::new("n", DataType::Int64, true), Field::new("m", DataType::Int64, true)];
    let generated = |column: &str, sql: &str| Generated { column: column.into(), expression_sql: sql.into() };
    let invalid = |checks: Vec<Check>, generated: Vec<Generated>| {
        let mut spec = schema(fields());
        (spec.checks, spec.generated) = (checks, generated);
        place.lake.validate(&spec, &place.session()).unwrap_err()
    };
    for error in [
        invalid(vec![check("c", "nothing > 1")], vec![]),
        invalid(vec![check("c", "n + 1")], vec![]),
        invalid(vec![check("c", "n > random()")], vec![]),
        invalid(vec![], vec![generated("n", "m + 1"), generated("m", "1")]),
        invalid(vec![], vec![generated("n", "n + 1")]),
    ] {
        assert!(matches!(error, Error::InvalidDefinition { .. }), "{error}");
    }
    let mut spec = schema(fields());
    spec.checks = vec![check("c", "n > 0 OR n IS NULL")];
    spec.generated = vec![generated("m", "n + 1")];
    place.lake.validate(&spec, &place.session()).unwrap();
}
