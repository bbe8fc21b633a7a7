//! The catalog over a data directory: what survives, what is refused, what goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use alluvia_inference::ModelOptions;
use alluvia_lake::{Format, Lake};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use tempfile::TempDir;
use url::Url;

use super::*;
use crate::error::Kind;

async fn open(folder: &TempDir) -> Catalog {
    Catalog::open(folder.path()).await.unwrap()
}

fn external(schema: &str, name: &str) -> NewTable {
    let columns = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("tags", DataType::new_list(DataType::Utf8, true), true),
    ]);
    NewTable {
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: TableKind::External(Format::Csv),
        location: Url::parse("file:///data/a%20b.csv").unwrap(),
        options: BTreeMap::from([("has_header".to_owned(), "true".to_owned())]),
        columns: Some(Arc::new(columns)),
        or_replace: false,
    }
}

async fn managed(catalog: &Catalog, schema: &str, name: &str) -> NewTable {
    let location = catalog.reserve_table_folder(schema, name).await.unwrap();
    NewTable { kind: TableKind::Managed, location, options: BTreeMap::new(), columns: None, ..external(schema, name) }
}

fn model(name: &str, sha256: &str) -> NewModel {
    let spec = serde_json::json!({
        "kind": "graph", "task": "tabular", "inputs": [], "outputs": [], "tokenizer": null, "pooling": null,
        "normalize": false, "dimension": null, "max_length": null, "labels": ["a", "b"], "size_bytes": 7,
        "files": ["model.onnx"], "features": null, "graph": "model.onnx",
    });
    NewModel {
        name: name.to_owned(),
        sha256: sha256.to_owned(),
        source: "models/a.onnx".to_owned(),
        options: ModelOptions::default(),
        spec: serde_json::from_value(spec).unwrap(),
        owner: "ada".to_owned(),
    }
}

fn kind<T>(result: Result<T>) -> Kind {
    result.err().map(|error| error.kind).unwrap()
}

#[tokio::test]
async fn everything_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    assert_eq!(catalog.snapshot().schemas.keys().collect::<Vec<_>>(), ["public"]);
    catalog.create_schema("Demo").await.unwrap();
    catalog.register_table(external("Demo", "events")).await.unwrap();
    catalog.register_table(managed(&catalog, "public", "a/b").await).await.unwrap();
    let entry = catalog.put_model(model("churn", "aa"), false).await.unwrap();
    let before = catalog.snapshot();
    drop(catalog);
    let after = open(&folder).await.snapshot();
    assert_eq!(before.version, after.version);
    assert_eq!(before.schemas, after.schemas);
    let reopened = after.model("churn").unwrap();
    assert_eq!((reopened.oid, &reopened.sha256, &reopened.spec), (entry.oid, &entry.sha256, &entry.spec));
    assert_eq!((reopened.created_at, &reopened.options), (entry.created_at, &entry.options));
}

#[tokio::test]
async fn an_open_transaction_is_lost_with_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    catalog.create_schema("kept").await.unwrap();
    {
        let mut writer = catalog.inner.writer.lock().await;
        let mut transaction = store::begin(&mut writer).await.unwrap();
        sqlx::query("INSERT INTO schemas (oid, name) VALUES (20000, 'lost')").execute(&mut *transaction).await.unwrap();
    }
    catalog.create_schema("later").await.unwrap();
    drop(catalog);
    let snapshot = open(&folder).await.snapshot();
    assert_eq!(snapshot.schemas.keys().collect::<Vec<_>>(), ["kept", "later", "public"]);
}

#[tokio::test]
async fn a_failing_change_leaves_snapshot_and_database_alone() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    let before = catalog.snapshot();
    let mut outside = managed(&catalog, "public", "t").await;
    outside.location = Url::parse("file:///elsewhere/t/").unwrap();
    assert_eq!(kind(catalog.register_table(outside).await), Kind::InvalidTableDefinition);
    assert_eq!(catalog.snapshot().schemas, before.schemas);
    drop(catalog);
    assert_eq!(open(&folder).await.snapshot().schemas, before.schemas);
}

#[tokio::test]
async fn object_identifiers_are_stable_and_never_reused() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        let catalog = open(&folder).await;
        let table = catalog.register_table(external("public", "t")).await.unwrap();
        assert!(table.oid >= 16_384);
        assert!(seen.insert(table.oid), "round {round}");
        let again = NewTable { or_replace: true, ..external("public", "t") };
        assert_eq!(catalog.register_table(again).await.unwrap().oid, table.oid);
        let first = catalog.put_model(model("m", "aa"), false).await.unwrap();
        assert!(seen.insert(first.oid), "round {round}");
        assert_eq!(catalog.put_model(model("m", "bb"), true).await.unwrap().oid, first.oid);
        catalog.drop_model("m").await.unwrap();
        catalog.drop_table("public", "t").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_creations_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Arc::new(open(&folder).await);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let catalog = Arc::clone(&catalog);
            tokio::spawn(async move {
                let table = catalog.register_table(external("public", "t")).await.map(|_| ());
                let model = catalog.put_model(model("m", "aa"), false).await.map(|_| ());
                (table, model, catalog.create_schema("s").await)
            })
        })
        .collect();
    let (mut tables, mut models, mut schemas) = (0, 0, 0);
    for task in tasks {
        let (table, model, schema) = task.await.unwrap();
        for (result, duplicate, winners) in [
            (table, Kind::DuplicateTable, &mut tables),
            (model, Kind::DuplicateObject, &mut models),
            (schema, Kind::DuplicateSchema, &mut schemas),
        ] {
            match result {
                Ok(()) => *winners += 1,
                Err(error) => assert_eq!(error.kind, duplicate),
            }
        }
    }
    assert_eq!((tables, models, schemas), (1, 1, 1));
}

#[tokio::test]
async fn a_data_directory_has_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    let error = Catalog::open(folder.path()).await.unwrap_err();
    assert_eq!(error.kind, Kind::ConfigurationInvalid);
    assert!(error.detail.unwrap().contains(&std::process::id().to_string()));
    drop(catalog);
    open(&folder).await;
}

#[tokio::test]
async fn a_newer_catalog_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    sqlx::query("PRAGMA user_version = 999").execute(&mut *catalog.inner.writer.lock().await).await.unwrap();
    drop(catalog);
    assert_eq!(kind(Catalog::open(folder.path()).await), Kind::ConfigurationInvalid);
}

#[tokio::test]
async fn names_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    for (name, expected) in [
        ("public", Kind::DuplicateSchema),
        ("system", Kind::DuplicateSchema),
        ("pg_catalog", Kind::DuplicateSchema),
        ("pg_mine", Kind::InvalidParameterValue),
        ("", Kind::InvalidParameterValue),
    ] {
        assert_eq!(kind(catalog.create_schema(name).await), expected, "{name}");
    }
    assert_eq!(kind(catalog.create_schema(&"x".repeat(129)).await), Kind::InvalidParameterValue);
    assert_eq!(kind(catalog.register_table(external("system", "t")).await), Kind::InsufficientPrivilege);
    assert_eq!(kind(catalog.register_table(external("none", "t")).await), Kind::UndefinedSchema);
    assert_eq!(kind(catalog.reserve_table_folder("none", "t").await), Kind::UndefinedSchema);
    assert_eq!(kind(catalog.drop_table("public", "t").await), Kind::UndefinedTable);
    assert_eq!(kind(catalog.drop_model("m").await), Kind::UndefinedObject);
    assert_eq!(kind(catalog.drop_schema("none", true).await), Kind::UndefinedSchema);
    assert_eq!(kind(catalog.drop_schema("public", true).await), Kind::DependentObjectsExist);
}

#[tokio::test]
async fn a_schema_with_tables_goes_only_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    catalog.create_schema("demo").await.unwrap();
    catalog.register_table(external("demo", "a")).await.unwrap();
    catalog.register_table(managed(&catalog, "demo", "b").await).await.unwrap();
    let error = catalog.drop_schema("demo", false).await.unwrap_err();
    assert_eq!(error.kind, Kind::DependentObjectsExist);
    assert_eq!(error.detail.unwrap(), "table demo.a depends on schema demo\ntable demo.b depends on schema demo");
    let dropped = catalog.drop_schema("demo", true).await.unwrap();
    assert_eq!(dropped.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    drop(catalog);
    assert!(!open(&folder).await.snapshot().schemas.contains_key("demo"));
}

fn make_files(location: &Url, files: &[&str]) {
    let folder = location.to_file_path().unwrap();
    for file in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }
}

fn exists(location: &Url) -> bool {
    location.to_file_path().unwrap().exists()
}

const LOG: &str = "_delta_log/00000000000000000000.json";

#[tokio::test]
async fn the_sweep_takes_what_no_table_names_and_only_that() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    let lake = Lake::new();
    let table = catalog.register_table(managed(&catalog, "public", "kept").await).await.unwrap();
    make_files(&table.location, &[LOG, "part.parquet"]);
    let killed_early = catalog.reserve_table_folder("public", "early").await.unwrap();
    make_files(&killed_early, &["part.parquet"]);
    let killed_late = catalog.reserve_table_folder("public", "late").await.unwrap();
    make_files(&killed_late, &[LOG, "part.parquet"]);
    let never_begun = catalog.reserve_table_folder("public", "never").await.unwrap();
    let dropped = catalog.register_table(managed(&catalog, "public", "dropped").await).await.unwrap();
    make_files(&dropped.location, &[LOG]);
    catalog.drop_table("public", "dropped").await.unwrap();
    let foreign = folder.path().join("tables/public/foreign");
    fs::create_dir_all(&foreign).unwrap();
    fs::create_dir_all(folder.path().join("models/.import-1")).unwrap();
    fs::create_dir_all(folder.path().join("models/aa")).unwrap();
    fs::create_dir_all(folder.path().join("models/bb")).unwrap();
    catalog.reserve_model_folder("aa").await.unwrap();
    catalog.put_model(model("m", "bb"), false).await.unwrap();
    drop(catalog);

    let catalog = open(&folder).await;
    catalog.sweep(&lake).await.unwrap();
    assert!(exists(&table.location) && foreign.exists() && folder.path().join("models/bb").exists());
    for location in [&killed_early, &killed_late, &never_begun, &dropped.location] {
        assert!(!exists(location), "{location}");
    }
    assert!(!folder.path().join("models/aa").exists() && !folder.path().join("models/.import-1").exists());
    assert!(store::unfinished_folders(&mut *catalog.inner.writer.lock().await).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_replaced_table_leaves_its_old_folder_to_be_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    let first = catalog.register_table(managed(&catalog, "public", "t").await).await.unwrap();
    make_files(&first.location, &[LOG]);
    let second = NewTable { or_replace: true, ..managed(&catalog, "public", "t").await };
    let registered = catalog.put_table(second).await.unwrap();
    assert_ne!(registered.entry.location, first.location);
    assert_eq!(registered.replaced, Some(first.clone()));
    let lake = Lake::new();
    catalog.discard(&lake, &first).await.unwrap();
    assert!(!exists(&first.location));
    assert_eq!(kind(catalog.discard(&lake, &registered.entry).await), Kind::Internal);
}

#[tokio::test]
async fn a_data_directory_can_be_moved() {
    let parent = tempfile::tempdir().unwrap();
    let (old, new) = (parent.path().join("old place"), parent.path().join("new place"));
    let catalog = Catalog::open(&old).await.unwrap();
    catalog.register_table(managed(&catalog, "public", "t").await).await.unwrap();
    drop(catalog);
    fs::rename(&old, &new).unwrap();
    let catalog = Catalog::open(&new).await.unwrap();
    let location = catalog.snapshot().table("public", "t").unwrap().location.to_file_path().unwrap();
    assert!(location.starts_with(new.canonicalize().unwrap()), "{}", location.display());
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_data_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let data_dir: &Path = &parent.path().join("a/b");
    drop(Catalog::open(data_dir).await.unwrap());
    assert_eq!(fs::metadata(data_dir).unwrap().permissions().mode() & 0o777, 0o700);
}

/// A caller that goes away in the middle of a change leaves a snapshot that agrees with the disk.
#[tokio::test]
async fn an_abandoned_change_ends_one_way_or_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    for round in 0..20u32 {
        let name = format!("s{round}");
        let patience = std::time::Duration::from_micros(u64::from(round) * 200);
        let _ = tokio::time::timeout(patience, catalog.create_schema(&name)).await;
    }
    // The writer is free once the abandoned changes are through.
    catalog.create_schema("last").await.unwrap();
    let before = catalog.snapshot();
    drop(catalog);
    assert_eq!(open(&folder).await.snapshot().schemas, before.schemas);
}

fn view(name: &str, uses: &[u32]) -> NewView {
    let relation = |oid: &u32| ViewRelation { schema: None, name: format!("t{oid}"), oid: *oid };
    NewView {
        schema: DEFAULT_SCHEMA.to_owned(),
        name: name.to_owned(),
        query: "SELECT a FROM t".to_owned(),
        columns: Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true)])),
        uses: ViewUses { relations: uses.iter().map(relation).collect(), others: BTreeSet::new() },
        or_replace: false,
    }
}

#[tokio::test]
async fn views_comments_and_attachments_survive() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    let table = catalog.register_table(external("public", "t")).await.unwrap();
    let made = catalog.put_view(view("v", &[table.oid])).await.unwrap();
    catalog.set_comment(made.oid, "", Some("said of it")).await.unwrap();
    catalog.set_comment(made.oid, "a", Some("and of its column")).await.unwrap();
    catalog.attach("other", &Url::parse("file:///data/other/").unwrap()).await.unwrap();
    let before = catalog.snapshot();
    drop(catalog);
    let after = open(&folder).await.snapshot();
    assert_eq!(before.views().collect::<Vec<_>>(), after.views().collect::<Vec<_>>());
    assert_eq!((&before.comments, &before.attachments), (&after.comments, &after.attachments));
    assert_eq!(after.comment(made.oid, "a"), Some("and of its column"));
}

#[tokio::test]
async fn what_is_used_stays_until_cascade() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    let table = catalog.register_table(external("public", "t")).await.unwrap();
    let lower = catalog.put_view(view("lower", &[table.oid])).await.unwrap();
    catalog.put_view(view("upper", &[lower.oid])).await.unwrap();
    catalog.set_comment(lower.oid, "", Some("gone with it")).await.unwrap();
    assert_eq!(kind(catalog.drop_table("public", "t").await), Kind::DependentObjectsExist);
    let names = |name: &str| vec![("public".to_owned(), name.to_owned())];
    assert_eq!(kind(catalog.drop_relations("table", &names("lower"), true).await), Kind::WrongObjectType);
    assert_eq!(kind(catalog.drop_relations("view", &names("nothing"), true).await), Kind::UndefinedTable);
    // A view can't come to stand upon itself.
    let circle =
        NewView { or_replace: true, ..view("lower", &[catalog.snapshot().view("public", "upper").unwrap().oid]) };
    assert_eq!(kind(catalog.put_view(circle).await), Kind::InvalidTableDefinition);
    let dropped = catalog.drop_relations("table", &names("t"), true).await.unwrap();
    assert_eq!(dropped.cascaded, ["view public.lower", "view public.upper"]);
    assert_eq!(catalog.snapshot().views().count(), 0);
    assert!(catalog.snapshot().comments.is_empty());
    assert_eq!(kind(catalog.put_view(view("late", &[table.oid])).await), Kind::UndefinedTable);
}

#[tokio::test]
async fn renamed_things_keep_their_identity() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    catalog.create_schema("s").await.unwrap();
    let table = catalog.register_table(external("public", "t")).await.unwrap();
    catalog.register_table(external("s", "taken")).await.unwrap();
    catalog.put_view(view("v", &[table.oid])).await.unwrap();
    assert_eq!(kind(catalog.rename_relation(("public", "t"), ("public", "v")).await), Kind::DuplicateTable);
    assert_eq!(kind(catalog.rename_relation(("public", "t"), ("nowhere", "t")).await), Kind::UndefinedSchema);
    catalog.rename_relation(("public", "t"), ("s", "u")).await.unwrap();
    catalog.rename_schema("s", "z").await.unwrap();
    drop(catalog);
    let snapshot = open(&folder).await.snapshot();
    assert_eq!(snapshot.table("z", "u").map(|table| table.oid), Some(table.oid));
    assert!(snapshot.view("public", "v").unwrap().uses.contains(table.oid));
    assert_eq!(snapshot.relation_of(table.oid).map(|relation| relation.schema().to_owned()), Some("z".to_owned()));
}

#[tokio::test]
async fn another_data_directory_is_read_beside_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    catalog.create_schema("s").await.unwrap();
    let new = managed(&catalog, "s", "t").await;
    catalog.register_table(new).await.unwrap();
    // The owner holds its lock, and goes on.
    let read = store::read(folder.path()).await.unwrap();
    assert!(read.table("s", "t").is_some_and(|table| table.location.path().contains("/tables/s/t-")));
    catalog.create_schema("later").await.unwrap();
    assert!(store::read(folder.path()).await.unwrap().schemas.contains_key("later"));
    drop(catalog);
    assert!(store::read(folder.path()).await.unwrap().schemas.contains_key("later"));
}
