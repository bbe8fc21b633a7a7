//! Files of each format, found and read.

use std::path::Path;

use datafusion::prelude::SessionContext;
use tempfile::TempDir;

use super::*;
use crate::lake::Lake;

struct Place {
    folder: TempDir,
    context: SessionContext,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap(), context: SessionContext::new() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    async fn open(&self, format: Format, path: &str, options: &[(&str, &str)]) -> Result<Arc<dyn TableProvider>> {
        let options = options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let paths = vec![self.path(path)];
        let reading = Reading { format, paths, options, columns: None, partition_columns: None };
        Lake::new().files(reading, &self.context.state()).await
    }

    async fn rows(&self, table: Arc<dyn TableProvider>, sql: &str) -> Vec<String> {
        let _ = self.context.deregister_table("t");
        self.context.register_table("t", table).unwrap();
        let batches = self.context.sql(sql).await.unwrap().collect().await.unwrap();
        let mut rows = vec![];
        for batch in batches {
            for row in 0..batch.num_rows() {
                let cell = |column: &arrow::array::ArrayRef| {
                    let formatted = arrow::util::display::array_value_to_string(column, row).unwrap();
                    if column.is_null(row) { "NULL".to_owned() } else { formatted }
                };
                rows.push(batch.columns().iter().map(cell).collect::<Vec<_>>().join("|"));
            }
        }
        rows
    }
}

use arrow::array::Array;

#[tokio::test]
async fn folders_tell_partitions_and_null_is_null() {
    let place = Place::new();
    place.put("d/y=2026/c=a%20b/x.csv", "v\n1\n");
    place.put("d/y=2025/c=__HIVE_DEFAULT_PARTITION__/x.csv", "v\n2\n");
    place.put("d/_temporary/y=1/c=z/x.csv", "v\n3\n");
    let table = place.open(Format::Csv, "d", &[]).await.unwrap();
    assert_eq!(place.rows(table.clone(), "SELECT v, y, c FROM t ORDER BY v").await, ["1|2026|a b", "2|2025|NULL"]);
    assert_eq!(place.rows(table.clone(), "SELECT v FROM t WHERE y + 1 = 2027").await, ["1"]);
    assert_eq!(place.rows(table.clone(), "SELECT count(*) FROM t WHERE c IS NULL AND v = 2").await, ["1"]);
    assert_eq!(place.rows(table, "SELECT sum(y) FROM t").await, ["4051"]);
    let table = place.open(Format::Csv, "d/*/*/x.csv", &[("hive_partitioning", "false")]).await.unwrap();
    assert_eq!(place.rows(table, "SELECT * FROM t ORDER BY v").await, ["1", "2"]);
}

#[tokio::test]
async fn quoted_newlines_and_other_delimiters_are_read() {
    let place = Place::new();
    place.put("a.csv", "a;b\n1;\"x\ny\"\n2;-\n");
    let table = place.open(Format::Csv, "a.csv", &[("delim", ";"), ("nullstr", "-")]).await.unwrap();
    assert_eq!(place.rows(table, "SELECT a, b FROM t").await, ["1|x\ny", "2|NULL"]);
    let error = place.open(Format::Csv, "a.csv", &[("delim", "::")]).await.unwrap_err();
    assert!(error.to_string().contains("one-byte"), "{error}");
    let error = place.open(Format::Csv, "a.csv", &[("delimm", ";")]).await.unwrap_err();
    assert!(error.to_string().contains("no option \"delimm\""), "{error}");
}

#[tokio::test]
async fn files_whose_columns_stand_in_another_order_are_refused() {
    let place = Place::new();
    place.put("d/1.csv", "a,b\n1,2\n");
    place.put("d/2.csv", "b,a\n1,2\n");
    let error = place.open(Format::Csv, "d", &[]).await.unwrap_err();
    assert!(error.to_string().contains("its header is b, a, and a, b is expected"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_an_error() {
    let place = Place::new();
    place.put("d/a.txt", "x");
    for path in ["nothing.csv", "d", "d/*.csv"] {
        let error = place.open(Format::Csv, path, &[]).await.unwrap_err();
        assert!(matches!(error, Error::NoFiles { .. }), "{path}: {error}");
    }
    let error = place.open(Format::Parquet, "d/a.txt", &[]).await.unwrap_err();
    assert!(matches!(error, Error::BrokenFile { .. }), "{error:?}");
}

#[tokio::test]
async fn json_lines_keep_what_only_some_have() {
    let place = Place::new();
    place.put("a.jsonl", "{\"a\": 1, \"b\": {\"c\": [1, 2]}}\n{\"a\": null, \"d\": \"x\"}\n");
    let table = place.open(Format::Json, "a.jsonl", &[]).await.unwrap();
    assert_eq!(place.rows(table, "SELECT a, d, b['c'][2] FROM t").await, ["1|NULL|2", "NULL|x|NULL"]);
}

#[tokio::test]
async fn rows_go_into_files_and_come_back() {
    let place = Place::new();
    let sql = "SELECT * FROM (VALUES (1, 'a', 1.5), (2, NULL, NULL), (3, 'x/y', 2.5)) AS t(n, p, v)";
    let plan = || async { place.context.sql(sql).await.unwrap().into_unoptimized_plan() };
    let state = place.context.state();
    let none = BTreeMap::new();
    for (format, name) in [
        (Format::Parquet, "a.parquet"),
        (Format::Csv, "a.csv.gz"),
        (Format::Json, "a.jsonl"),
        (Format::Arrow, "a.arrow"),
    ] {
        let path = place.path(name);
        assert_eq!(Lake::new().export(plan().await, format, &path, &none, &state).await.unwrap(), 3, "{name}");
        let table = place.open(format, name, &[]).await.unwrap();
        let rows = place.rows(table, "SELECT n, p, v FROM t ORDER BY n").await;
        assert_eq!(rows, ["1|a|1.5", "2|NULL|NULL", "3|x/y|2.5"], "{name}");
    }
    let parted = BTreeMap::from([("partition_by".to_owned(), "p".to_owned())]);
    let folder = place.path("parted");
    Lake::new().export(plan().await, Format::Parquet, &folder, &parted, &state).await.unwrap();
    let table = place.open(Format::Parquet, "parted", &[]).await.unwrap();
    let rows = place.rows(table, "SELECT n, p FROM t ORDER BY n").await;
    assert_eq!(rows, ["1|a", "2|NULL", "3|x/y"]);
    let again = Lake::new().export(plan().await, Format::Parquet, &folder, &parted, &state).await.unwrap_err();
    assert!(matches!(again, Error::LocationInUse { .. }), "{again}");
    let failing = place.context.sql("SELECT 1 / (n - 2) AS x, p FROM (VALUES (1, 'a'), (2, 'b')) AS t(n, p)").await;
    let failing = failing.unwrap().into_unoptimized_plan();
    let folder = place.path("failed/");
    assert!(Lake::new().export(failing, Format::Csv, &folder, &none, &state).await.is_err());
    assert!(place.open(Format::Csv, "failed", &[]).await.is_err());
}
