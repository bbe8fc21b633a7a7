//! Versions, files, and rows with where they come from.

use std::collections::BTreeSet;

use super::*;
use crate::{At, Error, RowScan};

/// Three commits of three rows, partitioned by a text that a path can't hold as it is.
async fn three_versions(place: &Place) {
    let mut spec = place.spec("SELECT 1::bigint AS n, 'x' AS p").await;
    spec.partition_columns = vec!["p".into()];
    place.create("t", &spec).await;
    for start in 1..4 {
        let rows = format!("SELECT value + {start}0 AS n, 'a b%20/' || value AS p FROM range(3)");
        place.insert("t", &rows).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn older_versions_are_read_by_number_and_time() {
    let place = Place::new();
    three_versions(&place).await;
    let lake = &place.lake;
    let commits = lake.commits(&place.url("t")).await.unwrap();
    assert_eq!(commits.iter().map(|commit| commit.version).collect::<Vec<_>>(), [0, 1, 2, 3]);
    for commit in &commits {
        let by_number = lake.open_at(&place.url("t"), At::Version(commit.version)).await.unwrap();
        assert_eq!(by_number.version(), commit.version);
        assert_eq!(by_number.files().count() as u64, commit.version * 3);
        let by_time = lake.open_at(&place.url("t"), At::Timestamp(commit.committed_us)).await.unwrap();
        assert_eq!(by_time.version(), commit.version);
    }
    let late = lake.open_at(&place.url("t"), At::Timestamp(i64::MAX)).await.unwrap();
    assert_eq!(late.version(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_do_not_exist_are_named_with_those_that_do() {
    let place = Place::new();
    three_versions(&place).await;
    let refused = place.lake.open_at(&place.url("t"), At::Version(9)).await.unwrap_err();
    assert!(matches!(refused, Error::NoSuchVersion { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), "version 9 of the table does not exist");
    assert_eq!(refused.detail().unwrap(), "Versions 0 to 3 can be read.");
    let early = place.lake.open_at(&place.url("t"), At::Timestamp(0)).await.unwrap_err();
    assert!(early.detail().unwrap().starts_with("The oldest version, 0, is of 20"), "{early:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_with_their_file_and_a_number() {
    let place = Place::with_partitions(4);
    three_versions(&place).await;
    let snapshot = place.lake.open(&place.url("t")).await.unwrap();
    let paths: BTreeSet<String> = snapshot.files().map(|file| file.path).collect();
    assert_eq!(paths.len(), 9);
    let some: BTreeSet<String> = paths.iter().take(4).cloned().collect();
    for (files, expected) in [(None, &paths), (Some(some.clone()), &some), (Some(BTreeSet::new()), &BTreeSet::new())] {
        let scan = RowScan { files, file_column: Some("f".into()), row_column: Some("r".into()) };
        let _ = place.context.deregister_table("rows");
        place.context.register_table("rows", snapshot.rows(&place.session(), scan).unwrap()).unwrap();
        let mut seen = BTreeSet::new();
        for batch in place.rows("SELECT DISTINCT f FROM rows WHERE n > 0").await {
            let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
            let column = column.as_any().downcast_ref::<arrow::array::StringArray>().unwrap().clone();
            seen.extend(column.iter().map(|path| path.unwrap().to_owned()));
        }
        assert_eq!(&seen, expected);
        let count = expected.len();
        place
            .check(
                "SELECT count(*) AS c, count(DISTINCT r) AS d FROM rows",
                &format!("| c | d |\n| {count} | {count} |"),
            )
            .await;
        place
            .check(
                "SELECT count(*) AS c FROM rows WHERE f IN (SELECT f FROM rows WHERE r >= 0) AND p LIKE 'a%'",
                &format!("| c |\n| {count} |"),
            )
            .await;
    }
    let missing = RowScan { files: Some(["gone".to_owned()].into()), ..RowScan::default() };
    assert!(matches!(snapshot.rows(&place.session(), missing), Err(Error::Conflict { .. })));
    let named = RowScan { file_column: Some("n".into()), ..RowScan::default() };
    assert!(matches!(snapshot.rows(&place.session(), named), Err(Error::InvalidDefinition { .. })));
}
