//! CREATE, CTAS, INSERT and DROP: what is there after each, and what is not.

use std::collections::BTreeMap;

use super::*;
use crate::{Check, Error, Generated};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_created_filled_and_read_back() {
    let place = Place::new();
    let name = "a table, with spaces";
    let spec = place.spec("SELECT 1::int AS id, 'x' AS name").await;
    place.lake.create(&place.url(name), &spec).await.unwrap();
    let empty = place.lake.open(&place.url(name)).await.unwrap();
    assert_eq!((empty.version(), empty.schema().fields().len()), (0, 2));
    assert_eq!(empty.location(), &place.url(name));

    let plan = place.plan("SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS v(id, name)").await;
    let written = place.lake.append(&empty, plan, &place.session()).await.unwrap();
    assert_eq!(written, Written { rows: 2, version: 1, files_added: 1 });
    // A snapshot is of its version; the next statement opens the next.
    assert_eq!(empty.version(), 0);
    let filled = place.lake.open(&place.url(name)).await.unwrap();
    place.context.register_table("t", filled.provider(&place.session()).unwrap()).unwrap();
    place.check("SELECT id, name FROM t ORDER BY id", "| id | name |\n| 1  | a    |\n| 2  |      |").await;

    let none = place.plan("SELECT 1 AS id WHERE false").await;
    let written = place.lake.append(&filled, none, &place.session()).await.unwrap();
    assert_eq!(written, Written { rows: 0, version: 1, files_added: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_as_a_query_is_one_version_with_its_rows() {
    let place = Place::new();
    let written = place.create_as("t", "SELECT value AS n, value % 3 AS r FROM range(10000)").await.unwrap();
    assert_eq!((written.rows, written.version), (10000, 0));
    let actions = log_entry(&place.path("t"), 0);
    let kind = |action: &serde_json::Value| action.as_object().unwrap().keys().next().unwrap().clone();
    let kinds: Vec<String> = actions.iter().map(kind).collect();
    assert_eq!(kinds[..3], ["commitInfo", "protocol", "metaData"]);
    assert!(kinds[3..].iter().all(|kind| kind == "add") && kinds.len() == 3 + written.files_added);
    place.check("SELECT count(*) AS c, sum(n) AS s FROM t", "| c     | s        |\n| 10000 | 49995000 |").await;
    let written = place.create_as("nothing", "SELECT 1 AS n WHERE false").await.unwrap();
    assert_eq!(written, Written { rows: 0, version: 0, files_added: 0 });
    assert_eq!(place.count("nothing").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_be_filled_from_itself() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n FROM range(5)").await.unwrap();
    place.insert("t", "SELECT n + 5 AS n FROM t").await.unwrap();
    place.check("SELECT count(*) AS c, max(n) AS m FROM t", "| c  | m |\n| 10 | 9 |").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_in_use_is_refused() {
    let place = Place::new();
    let spec = place.spec("SELECT 1 AS n").await;
    place.create("t", &spec).await;
    let again = place.lake.create(&place.url("t"), &spec).await;
    assert!(matches!(again, Err(Error::LocationInUse { .. })), "{again:?}");
    assert!(matches!(place.create_as("t", "SELECT 1 AS n").await, Err(Error::LocationInUse { .. })));
    std::fs::create_dir(place.path("other")).unwrap();
    std::fs::write(place.path("other").join("letter.txt"), "dear").unwrap();
    assert!(matches!(place.create_as("other", "SELECT 1 AS n").await, Err(Error::LocationInUse { .. })));
    assert!(place.path("other").join("letter.txt").exists());
    assert_eq!(place.lake.open(&place.url("t")).await.unwrap().version(), 0);
    for nowhere in ["other", "nowhere"] {
        let error = place.lake.open(&place.url(nowhere)).await.unwrap_err();
        assert!(matches!(error, Error::NotATable { .. }), "{error}");
        assert!(error.hint().is_some());
    }
    assert!(!place.path("nowhere").exists());
    let far = Url::parse("ftp://host/t/").unwrap();
    assert!(matches!(place.lake.open(&far).await, Err(Error::UnsupportedFeature { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_creations_at_one_location_one_wins() {
    let place = Place::new();
    let query = "SELECT value AS n FROM range(2000)";
    let (left, right) = tokio::join!(place.create_as("t", query), place.create_as("t", query));
    let won = usize::from(left.is_ok()) + usize::from(right.is_ok());
    assert_eq!(won, 1, "{left:?} {right:?}");
    assert_eq!(place.count("t").await, 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_kept_in_the_log() {
    let place = Place::new();
    let mut spec = place.spec("SELECT 1::int AS id, 2::int AS doubled, 'x' AS day").await;
    spec.partition_columns = vec!["day".to_owned()];
    spec.checks = vec![Check { name: "positive".into(), expression_sql: "id > 0".into() }];
    spec.generated = vec![Generated { column: "doubled".into(), expression_sql: "id * 2".into() }];
    spec.properties = BTreeMap::from([("owner".into(), "me".into()), ("delta.targetFileSize".into(), "1mb".into())]);
    spec.comment = Some("a comment".to_owned());
    place.create("t", &spec).await;
    let snapshot = place.lake.open(&place.url("t")).await.unwrap();
    assert_eq!(snapshot.partition_columns(), ["day"]);
    assert_eq!(snapshot.checks(), spec.checks);
    assert_eq!(snapshot.generated(), spec.generated);
    assert_eq!(snapshot.properties().get("owner").unwrap(), "me");
    assert_eq!(snapshot.comment(), Some("a comment"));
    assert!(snapshot.schema().fields().iter().all(|field| field.metadata().is_empty()));
    let protocol = &log_entry(&place.path("t"), 0)[1]["protocol"];
    assert_eq!((protocol["minReaderVersion"].as_i64(), protocol["minWriterVersion"].as_i64()), (Some(1), Some(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_contradicts_itself_is_refused() {
    let place = Place::new();
    let spec = place.spec("SELECT 1::int AS id, [1] AS list").await;
    let refused = |change: fn(&mut TableSpec)| {
        let mut spec = spec.clone();
        change(&mut spec);
        let (lake, url) = (place.lake.clone(), place.url("t"));
        async move { lake.create(&url, &spec).await.unwrap_err() }
    };
    let invalid: [fn(&mut TableSpec); 5] = [
        |spec| spec.partition_columns = vec!["nothing".into()],
        |spec| spec.partition_columns = vec!["list".into()],
        |spec| spec.partition_columns = vec!["id".into(), "id".into()],
        |spec| spec.generated = vec![Generated { column: "x".into(), expression_sql: "1".into() }],
        |spec| {
            let field = spec.schema.field(0).clone();
            let fields = vec![field.clone(), field.with_name("ID")];
            spec.schema = Arc::new(arrow::datatypes::Schema::new(fields));
        },
    ];
    for change in invalid {
        let error = refused(change).await;
        assert!(matches!(error, Error::InvalidDefinition { .. }), "{error}");
    }
    let error = refused(|spec| {
        spec.properties.insert("delta.columnMapping.mode".into(), "name".into());
    });
    assert!(matches!(error.await, Error::UnsupportedFeature { .. }));
    assert!(!place.path("t").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_table_leaves_nothing() {
    let place = Place::new();
    place.create_as("t", "SELECT 1 AS n").await.unwrap();
    place.lake.remove(&place.url("t")).await.unwrap();
    assert!(!place.path("t").exists());
    place.lake.remove(&place.url("t")).await.unwrap();

    // Cut short after the log went: no table, and a second call finishes.
    place.create_as("t", "SELECT 1 AS n").await.unwrap();
    let log = place.path("t").join("_delta_log");
    std::fs::rename(log, place.path("t").join("_dropped_delta_log_1")).unwrap();
    assert!(matches!(place.lake.open(&place.url("t")).await, Err(Error::NotATable { .. })));
    place.lake.remove(&place.url("t")).await.unwrap();
    assert!(!place.path("t").exists());

    std::fs::create_dir(place.path("other")).unwrap();
    std::fs::write(place.path("other").join("letter.txt"), "dear").unwrap();
    assert!(matches!(place.lake.remove(&place.url("other")).await, Err(Error::NotATable { .. })));
    assert!(place.path("other").join("letter.txt").exists());
}
