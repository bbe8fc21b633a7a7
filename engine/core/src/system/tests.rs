//! Catalog and system tables as SQL sees them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use alluvia_lake::{Format, Lake, TableSpec};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SessionConfig, SessionContext};
use tempfile::TempDir;
use url::Url;

use super::*;
use crate::catalog::{LakeCatalog, NewTable, TableKind};
use crate::error::{Error, Kind};
use crate::inference::UsageRow;
use crate::planning::CATALOG;

struct House {
    folder: TempDir,
    catalog: Arc<Catalog>,
    models: Arc<Models>,
    usage: Arc<UsageLog>,
    lake: Lake,
    context: SessionContext,
}

async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Arc::new(Catalog::open(folder.path()).await.unwrap());
    let models = Arc::new(Models::new(Arc::clone(&catalog), folder.path(), None, vec![]));
    let (usage, lake) = (Arc::new(UsageLog::default()), Lake::new());
    let system = SystemTables::new(Arc::clone(&catalog), Arc::clone(&models), Arc::clone(&usage));
    let runtime_env = Arc::new(RuntimeEnv::default());
    let config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, "public")
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    let context = SessionContext::new_with_config_rt(config, Arc::clone(&runtime_env));
    let provider = LakeCatalog::new(Arc::clone(&catalog), lake.clone(), system, runtime_env);
    context.register_catalog(CATALOG, Arc::new(provider));
    House { folder, catalog, models, usage, lake, context }
}

impl House {
    async fn query(&self, sql: &str) -> Result<String, Error> {
        let rows = self.context.sql(sql).await?.collect().await?;
        Ok(pretty_format_batches(&rows)?.to_string())
    }

    async fn create_table(&self, name: &str) -> Url {
        let location = self.catalog.reserve_table_folder("public", name).await.unwrap();
        let schema = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
        self.lake.create(&location, &TableSpec::new(Arc::new(schema))).await.unwrap();
        self.register(name, TableKind::Managed, location.clone()).await;
        location
    }

    async fn register(&self, name: &str, kind: TableKind, location: Url) {
        let table = NewTable {
            schema: "public".to_owned(),
            name: name.to_owned(),
            kind,
            location,
            options: BTreeMap::new(),
            columns: None,
            or_replace: false,
        };
        self.catalog.register_table(table).await.unwrap();
    }
}

#[tokio::test]
async fn tables_of_all_kinds_are_opened_by_name() {
    let house = house().await;
    house.create_table("made").await;
    let csv = house.folder.path().join("rows.csv");
    fs::write(&csv, "id,word\n1,one\n2,two\n").unwrap();
    house.register("listed", TableKind::External(Format::Csv), Url::from_file_path(&csv).unwrap()).await;
    assert!(house.query("SELECT count(*) AS rows FROM made").await.unwrap().contains("| 0 "));
    assert!(house.query("SELECT word FROM listed WHERE id = 2").await.unwrap().contains("| two  |"));
    // Files that were added since are seen.
    fs::write(&csv, "id,word\n2,zwei\n").unwrap();
    assert!(house.query("SELECT word FROM public.listed WHERE id = 2").await.unwrap().contains("| zwei |"));
    assert!(house.query("SELECT * FROM absent").await.is_err());
    let tables = house.query("SELECT schema, name, kind, format FROM system.tables ORDER BY name").await.unwrap();
    assert!(tables.contains("| public | listed | external | csv    |"), "{tables}");
    assert!(tables.contains("| public | made   | managed  | delta  |"), "{tables}");
}

#[tokio::test]
async fn a_table_whose_files_are_gone_fails_alone() {
    let house = house().await;
    house.create_table("whole").await;
    let location = house.create_table("broken").await;
    fs::remove_dir_all(location.to_file_path().unwrap()).unwrap();
    let error = house.query("SELECT * FROM broken").await.unwrap_err();
    assert_ne!(error.kind, Kind::Internal, "{error}");
    let tables = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public'";
    let tables = house.query(tables).await.unwrap();
    assert!(tables.contains("broken") && tables.contains("whole"), "{tables}");
    let columns = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'";
    let columns = house.query(columns).await.unwrap();
    assert!(columns.contains("| whole      | id") && !columns.contains("broken"), "{columns}");
    house.query("SHOW TABLES").await.unwrap();
}

#[tokio::test]
async fn models_are_described_without_being_loaded() {
    let house = house().await;
    house.models.ensure_default().await.unwrap();
    let models =
        "SELECT name, kind, device, device_used, dimension, outputs, pooling, normalize, labels FROM system.models";
    let models = house.query(models).await.unwrap();
    assert!(models.contains("| all-MiniLM-L6-v2 | encoder | cpu    | cpu         | 384 "), "{models}");
    let every = house.query("SELECT * FROM system.models").await.unwrap();
    assert!(every.contains("feature-extraction"), "{every}");
}

#[tokio::test]
async fn usage_rows_come_back_as_recorded() {
    let house = house().await;
    assert!(!house.query("SELECT * FROM system.inference_usage").await.unwrap().contains("churn"));
    house.usage.record(UsageRow {
        query_id: 7,
        at: chrono::Utc::now(),
        user: "ada".to_owned(),
        model: "churn".to_owned(),
        sha256: "aa".to_owned(),
        device: "cpu".to_owned(),
        rows: 10,
        distinct_rows: 3,
        runs: 1,
        input_tokens: 0,
        padded_tokens: 0,
        truncated_rows: 0,
        errors: 2,
        queue_ms: 0.5,
        run_ms: 1.5,
    });
    let usage = "SELECT query_id, model, rows, distinct_rows, errors, run_ms FROM system.inference_usage";
    let usage = house.query(usage).await.unwrap();
    assert!(usage.contains("| 7        | churn | 10   | 3             | 2      | 1.5    |"), "{usage}");
}

#[tokio::test]
async fn system_tables_are_read_only() {
    let house = house().await;
    for sql in [
        "INSERT INTO system.schemas SELECT * FROM system.schemas",
        "DELETE FROM system.schemas",
        "UPDATE system.schemas SET name = 'x'",
    ] {
        let error = house.query(sql).await.unwrap_err();
        assert_eq!(error.kind, Kind::FeatureNotSupported, "{sql}: {error}");
    }
    let names = house.query("SELECT name FROM system.schemas").await.unwrap();
    assert!(names.contains("public"), "{names}");
}

#[tokio::test]
async fn names_of_system_tables_are_unique() {
    let house = house().await;
    let system = SystemTables::new(house.catalog, house.models, house.usage);
    let mut names = system.table_names();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), system.table_names().len());
    assert!(names.iter().all(|name| system.table_exist(name)));
}
