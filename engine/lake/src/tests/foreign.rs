//! Tables and files that other programs have written.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::{Error, Format};

async fn external(place: &Place, format: Format, name: &str, options: &[(&str, &str)]) -> crate::Result<()> {
    let options: BTreeMap<String, String> =
        options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let url = Url::from_file_path(place.path(name)).unwrap();
    let table = place.lake.external(format, &url, None, &options, &place.session()).await?;
    let _ = place.context.deregister_table("x");
    place.context.register_table("x", table).unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_parquet_and_delta_are_read_where_they_lie() {
    let place = Place::new();
    std::fs::write(place.path("a.csv"), "id;name\n1;one\n2;\n").unwrap();
    external(&place, Format::Csv, "a.csv", &[("delimiter", ";"), ("format.has_header", "true")]).await.unwrap();
    place.check("SELECT id + 1 AS i, name FROM x", "| i | name |\n| 2 | one  |\n| 3 |      |").await;
    let error = external(&place, Format::Csv, "a.csv", &[("delimitter", ";")]).await.unwrap_err();
    assert!(matches!(error, Error::InvalidOption { .. }), "{error}");
    let error = external(&place, Format::Parquet, "nothing.parquet", &[]).await.unwrap_err();
    assert!(matches!(error, Error::NoFiles { .. }), "{error}");

    place.create_as("t", "SELECT value AS n FROM range(100)").await.unwrap();
    external(&place, Format::Delta, "t", &[]).await.unwrap();
    place.check("SELECT sum(n) AS s FROM x", "| s    |\n| 4950 |").await;
    external(&place, Format::Parquet, "t", &[]).await.unwrap();
    place.check("SELECT sum(n) AS s FROM x", "| s    |\n| 4950 |").await;
    let error = external(&place, Format::Delta, "t", &[("a", "b")]).await.unwrap_err();
    assert!(matches!(error, Error::InvalidDefinition { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_schema_is_used() {
    let place = Place::new();
    std::fs::create_dir(place.path("d")).unwrap();
    std::fs::write(place.path("d").join("a.csv"), "1,007\n").unwrap();
    let schema = Schema::new(vec![Field::new("n", DataType::Int32, true), Field::new("s", DataType::Utf8, true)]);
    let options = BTreeMap::from([("has_header".to_owned(), "false".to_owned())]);
    let session = place.session();
    let table = place.lake.external(Format::Csv, &place.url("d"), Some(Arc::new(schema)), &options, &session).await;
    place.context.register_table("x", table.unwrap()).unwrap();
    place.check("SELECT n, s FROM x", "| n | s   |\n| 1 | 007 |").await;
}

/// A log as other engines write it: column invariants, camel case, a feature that nobody here writes.
fn write_log(place: &Place, name: &str, protocol: serde_json::Value, metadata: serde_json::Value) {
    let log = place.path(name).join("_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let text =
        format!("{}\n{}\n", serde_json::json!({"protocol": protocol}), serde_json::json!({"metaData": metadata}));
    std::fs::write(log.join(format!("{:020}.json", 0)), text).unwrap();
}

fn metadata(field_metadata: serde_json::Value, configuration: serde_json::Value) -> serde_json::Value {
    let field = serde_json::json!({"name": "eventCount", "type": "long", "nullable": true, "metadata": field_metadata});
    serde_json::json!({
        "id": "0b6f6f2e-8a3f-4d8f-8d7f-1f0e9d2c3b4a",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": serde_json::json!({"type": "struct", "fields": [field]}).to_string(),
        "partitionColumns": [],
        "configuration": configuration,
        "createdTime": 0,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn column_invariants_are_kept() {
    let place = Place::new();
    let rule = r#"{"expression": {"expression": "eventcount > 2"}}"#;
    let protocol = serde_json::json!({"minReaderVersion": 1, "minWriterVersion": 2});
    let fields = serde_json::json!({"delta.invariants": rule});
    write_log(&place, "t", protocol, metadata(fields, serde_json::json!({})));
    let error = place.insert("t", "SELECT 1 AS \"eventCount\"").await.unwrap_err();
    assert!(matches!(&error, Error::CheckViolation { constraint, .. } if constraint == "eventCount"), "{error:?}");
    place.insert("t", "SELECT 3 AS \"eventCount\"").await.unwrap();
    assert_eq!(place.count("t").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_unknown_features_is_not_written() {
    let place = Place::new();
    let features = |feature: &str, reader: &[&str]| {
        serde_json::json!({
            "minReaderVersion": if reader.is_empty() { 1 } else { 3 },
            "minWriterVersion": 7,
            "readerFeatures": (!reader.is_empty()).then_some(reader),
            "writerFeatures": [feature],
        })
    };
    let none = || serde_json::json!({});
    write_log(&place, "identity", features("identityColumns", &[]), metadata(none(), none()));
    let error = place.insert("identity", "SELECT 1 AS \"eventCount\"").await.unwrap_err();
    assert!(matches!(&error, Error::UnsupportedFeature { name } if name == "identityColumns"), "{error:?}");
    write_log(&place, "strange", features("strangeThing", &["strangeThing"]), metadata(none(), none()));
    let error = place.lake.open(&place.url("strange")).await.unwrap_err();
    assert!(matches!(&error, Error::UnsupportedFeature { name } if name == "strangeThing"), "{error:?}");
    std::fs::write(place.path("strange").join("_delta_log").join(format!("{:020}.json", 0)), "{broken").unwrap();
    let error = place.lake.open(&place.url("strange")).await.unwrap_err();
    assert!(matches!(error, Error::Delta(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_column_mapping_is_read_and_written() {
    let place = Place::new();
    let mut spec =
        place.spec("SELECT 1::bigint AS n, named_struct('x y', ['z']) AS s, [1.5::real] AS v, 'q' AS p").await;
    spec.partition_columns = vec!["p".into()];
    let schema: deltalake::kernel::StructType =
        deltalake::kernel::engine::arrow_conversion::TryIntoKernel::try_into_kernel(spec.schema.as_ref()).unwrap();
    std::fs::create_dir(place.path("t")).unwrap();
    deltalake::operations::create::CreateBuilder::new()
        .with_location(place.url("t").to_string())
        .with_columns(schema.fields().cloned())
        .with_partition_columns(["p"])
        .with_configuration([("delta.columnMapping.mode", Some("name")), ("delta.constraints.few", Some("n < 9"))])
        .with_raise_if_key_not_exists(false)
        .await
        .unwrap();
    let rows = "SELECT 1 AS n, named_struct('x y', ['one']) AS s, [0.5::real] AS v, 'a b' AS p";
    place.insert("t", rows).await.unwrap();
    place.insert("t", "SELECT 2 AS n, 'c' AS p").await.unwrap();
    place
        .check(
            "SELECT n, s, v, p FROM t ORDER BY n",
            "| n | s            | v     | p   |\n| 1 | {x y: [one]} | [0.5] | a b |\n| 2 |              |       | c   |",
        )
        .await;
    place.check("SELECT n FROM t WHERE p = 'c' AND n > 1", "| n |\n| 2 |").await;
    let files = data_files(&place.path("t"));
    assert!(files.len() == 2 && files.iter().all(|file| !file.contains("p=") && !file.contains("a b")), "{files:?}");
    let add = log_entry(&place.path("t"), 1).pop().unwrap();
    let statistics = add["add"]["stats"].as_str().unwrap();
    assert!(statistics.contains("col-") && !statistics.contains("\"n\""), "{statistics}");
    let error = place.insert("t", "SELECT 10 AS n").await.unwrap_err();
    assert!(matches!(error, Error::CheckViolation { .. }), "{error}");
}
