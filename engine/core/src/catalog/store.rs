//! The catalog's rows in SQLite: opening the file, reading everything at the start, and errors as the engine's own.

use std::fs::DirBuilder;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alluvia_lake::StoreKind;
use arrow_schema::Schema;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection, Transaction};
use url::Url;

use super::entry::{Attachment, ModelEntry, SchemaEntry, SecretEntry, TableEntry, TableKind, ViewEntry};
use super::snapshot::CatalogSnapshot;
use super::{folders, migrations};
use crate::error::{Error, Kind, Result};

/// Creates the data directory where it is missing, readable by its owner alone, and answers with its absolute path.
pub(super) fn prepare_data_dir(data_dir: &Path) -> Result<PathBuf> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::Io, format!("could not open data directory \"{}\": {error}", data_dir.display()))
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data_dir).map_err(failed)?;
    data_dir.canonicalize().map_err(failed)
}

/// Opens the database file and brings it up to date. A commit that returned is on disk (WAL, synchronous = FULL).
pub(super) async fn open(path: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5));
    let mut connection = options.connect().await.map_err(error)?;
    migrations::migrate(&mut connection).await?;
    Ok(connection)
}

/// The catalog of another data directory, whoever has it open: only read, and its lock left alone.
///
/// Errors: [`Kind::ConfigurationInvalid`] if another version of this program wrote it.
pub(crate) async fn read(data_dir: &Path) -> Result<CatalogSnapshot> {
    let data_dir = data_dir.canonicalize()?;
    let options = SqliteConnectOptions::new()
        .filename(data_dir.join("catalog.sqlite"))
        .read_only(true)
        .busy_timeout(Duration::from_secs(5));
    // A copy on a read-only file system has no room for SQLite's own files beside it, and needs none.
    let mut connection = match options.connect().await {
        Ok(connection) => connection,
        Err(first) => options.immutable(true).connect().await.map_err(|_| error(first))?,
    };
    migrations::check_newest(&mut connection, &data_dir).await?;
    let snapshot = load(&mut connection, &data_dir).await;
    // What a failure to close leaves open ends with the connection.
    let _ = connection.close().await;
    snapshot
}

/// A transaction that holds the write lock from its start.
pub(super) async fn begin(connection: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>> {
    connection.begin_with("BEGIN IMMEDIATE").await.map_err(error)
}

/// Counts one more committed change and answers with the new number.
pub(super) async fn advance_version(connection: &mut SqliteConnection) -> Result<u64> {
    let version = advance(connection, "version").await?;
    u64::try_from(version).map_err(|_| damaged("the version counter is negative"))
}

/// An object identifier that no object has or had.
pub(super) async fn next_oid(connection: &mut SqliteConnection) -> Result<u32> {
    let oid = advance(connection, "oid").await?;
    u32::try_from(oid).map_err(|_| Error::new(Kind::DataException, "the catalog has run out of object identifiers"))
}

async fn advance(connection: &mut SqliteConnection, counter: &str) -> Result<i64> {
    sqlx::query_scalar("UPDATE counters SET value = value + 1 WHERE name = ? RETURNING value")
        .bind(counter)
        .fetch_one(connection)
        .await
        .map_err(error)
}

/// Reads the whole catalog.
pub(super) async fn load(connection: &mut SqliteConnection, data_dir: &Path) -> Result<CatalogSnapshot> {
    let version: i64 = sqlx::query_scalar("SELECT value FROM counters WHERE name = 'version'")
        .fetch_one(&mut *connection)
        .await
        .map_err(error)?;
    let version = u64::try_from(version).map_err(|_| damaged("the version counter is negative"))?;
    let mut snapshot = CatalogSnapshot { version, ..CatalogSnapshot::default() };
    let schemas: Vec<(i64, String)> =
        sqlx::query_as("SELECT oid, name FROM schemas").fetch_all(&mut *connection).await.map_err(error)?;
    for (oid, name) in schemas {
        snapshot.schemas.insert(name.clone(), SchemaEntry::new(parse_oid(oid)?, name));
    }
    for table in load_tables(connection, data_dir).await? {
        if let Some(schema) = snapshot.schemas.get_mut(&table.schema) {
            schema.tables.insert(table.name.clone(), table);
        }
    }
    for view in load_views(connection).await? {
        if let Some(schema) = snapshot.schemas.get_mut(&view.schema) {
            schema.views.insert(view.name.clone(), Arc::new(view));
        }
    }
    load_names(connection, &mut snapshot).await?;
    for model in load_models(connection).await? {
        snapshot.models.insert(model.name.clone(), Arc::new(model));
    }
    for secret in load_secrets(connection).await? {
        snapshot.secrets.insert(secret.name.clone(), Arc::new(secret));
    }
    Ok(snapshot)
}

type TableRow = (i64, String, String, String, String, String, String, Option<String>);

async fn load_tables(connection: &mut SqliteConnection, data_dir: &Path) -> Result<Vec<TableEntry>> {
    let rows: Vec<TableRow> = sqlx::query_as(
        "SELECT tables.oid, schemas.name, tables.name, kind, format, location, options, columns
         FROM tables JOIN schemas ON schemas.oid = tables.schema_oid",
    )
    .fetch_all(connection)
    .await
    .map_err(error)?;
    rows.into_iter().map(|row| table_entry(row, data_dir)).collect()
}

fn table_entry(row: TableRow, data_dir: &Path) -> Result<TableEntry> {
    let (oid, schema, name, kind, format, location, options, columns) = row;
    let kind = TableKind::parse(&kind, &format)
        .ok_or_else(|| damaged(&format!("table {schema}.{name} has kind {kind} and format {format}")))?;
    let location = match kind {
        TableKind::Managed => folders::folder_url(data_dir, &location)?,
        TableKind::Located | TableKind::External(_) => {
            Url::parse(&location).map_err(|_| damaged(&format!("table {schema}.{name} has no valid location")))?
        }
    };
    let columns = columns.map(|columns| from_json::<Schema>(&columns)).transpose()?.map(Arc::new);
    Ok(TableEntry { oid: parse_oid(oid)?, schema, name, kind, location, options: from_json(&options)?, columns })
}

type ViewRow = (i64, String, String, String, String, String);

async fn load_views(connection: &mut SqliteConnection) -> Result<Vec<ViewEntry>> {
    let rows: Vec<ViewRow> = sqlx::query_as(
        "SELECT views.oid, schemas.name, views.name, query, columns, uses
         FROM views JOIN schemas ON schemas.oid = views.schema_oid",
    )
    .fetch_all(connection)
    .await
    .map_err(error)?;
    let entry = |(oid, schema, name, query, columns, uses): ViewRow| {
        let columns = Arc::new(from_json::<Schema>(&columns)?);
        Ok(ViewEntry { oid: parse_oid(oid)?, schema, name, query, columns, uses: from_json(&uses)? })
    };
    rows.into_iter().map(entry).collect()
}

/// Comments and attachments.
async fn load_names(connection: &mut SqliteConnection, snapshot: &mut CatalogSnapshot) -> Result<()> {
    let comments: Vec<(i64, String, String)> = sqlx::query_as(r#"SELECT oid, "column", comment FROM comments"#)
        .fetch_all(&mut *connection)
        .await
        .map_err(error)?;
    for (oid, column, comment) in comments {
        snapshot.comments.insert((parse_oid(oid)?, column), comment);
    }
    let attachments: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT oid, name, location FROM attachments").fetch_all(connection).await.map_err(error)?;
    for (oid, name, location) in attachments {
        let location = Url::parse(&location).map_err(|_| damaged(&format!("{name} has no valid location")))?;
        snapshot.attachments.insert(name.clone(), Attachment { oid: parse_oid(oid)?, name, location });
    }
    Ok(())
}

type ModelRow = (i64, String, String, String, String, String, String, String);

async fn load_models(connection: &mut SqliteConnection) -> Result<Vec<ModelEntry>> {
    let rows: Vec<ModelRow> =
        sqlx::query_as("SELECT oid, name, sha256, source, options, spec, owner, created_at FROM models")
            .fetch_all(connection)
            .await
            .map_err(error)?;
    rows.into_iter().map(model_entry).collect()
}

fn model_entry(row: ModelRow) -> Result<ModelEntry> {
    let (oid, name, sha256, source, options, spec, owner, created_at) = row;
    let created_at = DateTime::parse_from_rfc3339(&created_at)
        .map_err(|_| damaged(&format!("model {name} has no valid creation time")))?
        .with_timezone(&Utc);
    let (options, spec) = (from_json(&options)?, from_json(&spec)?);
    Ok(ModelEntry { oid: parse_oid(oid)?, name, sha256, source, options, spec, owner, created_at })
}

type SecretRow = (String, i64, String, String, String, Vec<u8>, String, String);

async fn load_secrets(connection: &mut SqliteConnection) -> Result<Vec<SecretEntry>> {
    let rows: Vec<SecretRow> =
        sqlx::query_as("SELECT name, version, type, scope, shown, sealed, owner, created_at FROM secrets")
            .fetch_all(connection)
            .await
            .map_err(error)?;
    rows.into_iter().map(secret_entry).collect()
}

fn secret_entry(row: SecretRow) -> Result<SecretEntry> {
    let (name, version, kind, scope, shown, sealed, owner, created_at) = row;
    let invalid = |what: &str| damaged(&format!("secret {name} has no valid {what}"));
    let kind = StoreKind::parse(&kind).ok_or_else(|| invalid("type"))?;
    let version = u64::try_from(version).map_err(|_| invalid("version"))?;
    let created_at = DateTime::parse_from_rfc3339(&created_at).map_err(|_| invalid("creation time"))?;
    let created_at = created_at.with_timezone(&Utc);
    Ok(SecretEntry { name, version, kind, scope, shown: from_json(&shown)?, sealed, owner, created_at })
}

/// Folders, relative to the data directory, that are being made or removed.
pub(super) async fn unfinished_folders(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT path FROM unfinished_folders ORDER BY path").fetch_all(connection).await.map_err(error)
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal(format!("catalog value has no JSON form: {error}")))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| damaged(&error.to_string()))
}

fn parse_oid(oid: i64) -> Result<u32> {
    u32::try_from(oid).map_err(|_| damaged(&format!("{oid} is not an object identifier")))
}

fn damaged(what: &str) -> Error {
    Error::new(Kind::ConfigurationInvalid, "the catalog can't be read").with_detail(format!("{what}."))
}

/// SQLite's errors in the engine's vocabulary. Names that exist already are found before the database sees them; its
/// UNIQUE constraints only stand behind that check.
pub(super) fn error(error: sqlx::Error) -> Error {
    const SQLITE_FULL: i32 = 13;
    let code = match &error {
        sqlx::Error::Database(database) => database.code().and_then(|code| code.parse::<i32>().ok()),
        _ => None,
    };
    // The low byte of an extended result code is its primary code.
    let kind = match code.map(|code| code & 0xff) {
        Some(SQLITE_FULL) => Kind::DiskFull,
        _ if matches!(&error, sqlx::Error::Database(database) if database.is_unique_violation()) => {
            Kind::DuplicateObject
        }
        _ => Kind::Io,
    };
    Error::new(kind, format!("could not access the catalog: {error}"))
}
