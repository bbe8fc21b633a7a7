//! Values of every type, there and back, and how they lie in the files.

use deltalake::parquet::basic::{Compression, Encoding};
use deltalake::parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::Error;

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_back_as_it_went() {
    let place = Place::new();
    let query = "SELECT true AS a, arrow_cast(1, 'Int8') AS b, 2::smallint AS c, 3::int AS d, 4::bigint AS e, \
        1.5::real AS f, 2.5::double AS g, 12.34::decimal(10, 2) AS h, 'text' AS i, arrow_cast('x', 'Binary') AS j, \
        date '2026-11-20' AS k, arrow_cast('2026-11-20T10:00:00Z', 'Timestamp(Nanosecond, Some(\"+01:00\"))') AS l, \
        timestamp '2026-11-20 10:00:00.123456789' AS m, [1, NULL, 3] AS n, named_struct('x', 1, 'y', ['p', 'q']) AS o, \
        MAP {'k': 1.5, 'l': NULL} AS p, arrow_cast(7, 'UInt64') AS q, arrow_cast(0.5, 'Float16') AS r, \
        arrow_cast('d', 'Dictionary(Int32, Utf8)') AS s, arrow_cast([1, 2], 'FixedSizeList(2, Float32)') AS t, \
        NULL AS u, [named_struct('z', [[1], []])] AS v, arrow_cast('big', 'LargeUtf8') AS w";
    place.create_as("t", query).await.unwrap();
    for columns in ["a, b, c, d, e, f, g, h, i, j, k", "l, m", "n, o, p, v", "q, r, s, t, u, w"] {
        let shown = pretty_format_batches(&place.rows(&format!("SELECT {columns} FROM t")).await).unwrap();
        let plain = pretty_format_batches(&place.rows(&format!("SELECT {columns} FROM ({query})")).await).unwrap();
        let cells = |table: String| {
            let line = table.lines().nth(3).unwrap().to_owned();
            line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
        };
        let plain = cells(plain.to_string());
        let plain: Vec<String> = plain
            .into_iter()
            .map(|cell| cell.replace("10:00:00.123456789", "10:00:00.123456"))
            .map(|cell| cell.replace("2026-11-20T11:00:00+01:00", "2026-11-20T10:00:00Z"))
            .collect();
        assert_eq!(cells(shown.to_string()), plain);
    }
    let protocol = &log_entry(&place.path("t"), 0)[1]["protocol"];
    assert_eq!(protocol["readerFeatures"][0], "timestampNtz");
    let schema = place.lake.open(&place.url("t")).await.unwrap().schema();
    let of = |name: &str| schema.field_with_name(name).unwrap().data_type().to_string();
    assert_eq!((of("l").as_str(), of("m").as_str()), ("Timestamp(µs, \"UTC\")", "Timestamp(µs)"));
    assert_eq!((of("q").as_str(), of("r").as_str(), of("u").as_str()), ("Int64", "Float32", "Utf8"));
}

#[tokio::test(flavor = "multi_thread")]
async fn types_without_a_place_in_a_table_are_refused() {
    let place = Place::new();
    for value in ["time '10:00:00'", "interval '1 day'", "[interval '1 day']", "arrow_cast(1, 'Duration(Second)')"] {
        let error = place.create_as("t", &format!("SELECT {value} AS v")).await.unwrap_err();
        assert!(matches!(&error, Error::UnsupportedType { column, .. } if column == "v"), "{value} {error}");
        assert!(!place.path("t").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extreme_values_do_not_break_the_statistics() {
    let place = Place::new();
    let query = "SELECT 'NaN'::double AS f, 'inf'::double AS g, -9223372036854775808 AS n, NULL::bigint AS nothing, \
        date '0001-01-01' AS d, 99999999999999999999999999999999999999::decimal(38, 0) AS x, '' AS s";
    place.create_as("t", query).await.unwrap();
    place.insert("t", "SELECT 1.0 AS f, 2 AS n, 3 AS nothing").await.unwrap();
    place.check("SELECT count(*) AS c FROM t WHERE n = 2", "| c |\n| 1 |").await;
    place.check("SELECT count(*) AS c FROM t WHERE nothing = 3", "| c |\n| 1 |").await;
    place.check("SELECT count(*) AS c FROM t WHERE f = 'NaN'::double", "| c |\n| 1 |").await;
    place.check("SELECT count(*) AS c FROM t WHERE f > 0.5 AND f < 5", "| c |\n| 1 |").await;
    place.check("SELECT count(*) AS c FROM t WHERE d < date '1000-01-01'", "| c |\n| 1 |").await;
    let far = "SELECT arrow_cast(2147483647, 'Date32') AS d";
    assert!(matches!(place.insert("t", far).await, Err(Error::CastFailed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_values_of_any_spelling_come_back() {
    let place = Place::new();
    let mut spec = place.spec("SELECT 'x' AS p, 1::int AS n, date '2026-01-01' AS d").await;
    spec.partition_columns = vec!["p".into(), "d".into()];
    place.create("t", &spec).await;
    let rows = "SELECT * FROM (VALUES ('a/b c', 1, date '2026-01-01'), ('ü=%20', 2, NULL), (NULL, 3, NULL), \
        ('a/b c', 4, date '2026-01-02')) AS v(p, n, d)";
    let written = place.insert("t", rows).await.unwrap();
    assert_eq!((written.rows, written.files_added), (4, 4));
    place
        .check(
            "SELECT p, n, d FROM t ORDER BY n",
            "| p     | n | d          |\n| a/b c | 1 | 2026-01-01 |\n| ü=%20 | 2 |            |\n\
             |       | 3 |            |\n| a/b c | 4 | 2026-01-02 |",
        )
        .await;
    place.check("SELECT n FROM t WHERE p = 'ü=%20'", "| n |\n| 2 |").await;
    place.check("SELECT n FROM t WHERE p IS NULL", "| n |\n| 3 |").await;
    let error = place.insert("t", "SELECT '' AS p, 1 AS n").await.unwrap_err();
    assert!(matches!(&error, Error::CastFailed { column, .. } if column == "p"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_spared_dictionaries_and_statistics() {
    let place = Place::new();
    let query = "SELECT value AS n, 'same' AS s, [value::real, 0.5::real, -1.25::real] AS v FROM range(3000)";
    place.create_as("t", query).await.unwrap();
    let file = data_files(&place.path("t")).remove(0);
    let reader = SerializedFileReader::new(std::fs::File::open(place.path("t").join(file)).unwrap()).unwrap();
    let columns = reader.metadata().row_group(0).columns();
    assert!(columns.iter().all(|column| matches!(column.compression(), Compression::ZSTD(_))));
    assert_eq!(columns[2].column_path().string(), "v.list.element");
    assert!(columns[2].encodings().any(|encoding| encoding == Encoding::BYTE_STREAM_SPLIT));
    assert!(columns[2].statistics().is_none() && columns[2].dictionary_page_offset().is_none());
    assert!(columns[1].dictionary_page_offset().is_some());
    let add = log_entry(&place.path("t"), 0).remove(3);
    let statistics: serde_json::Value = serde_json::from_str(add["add"]["stats"].as_str().unwrap()).unwrap();
    assert_eq!(statistics["maxValues"]["s"], "same");
    assert!(statistics["maxValues"].get("v").is_none());
    place.check("SELECT v FROM t WHERE n = 2999", "| v                    |\n| [2999.0, 0.5, -1.25] |").await;
}
