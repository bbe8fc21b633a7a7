//! The catalog's tables, built up by numbered steps. A step that has shipped never changes; a new one is appended.

use sqlx::{Connection, SqliteConnection};

use super::store;
use crate::error::{Error, Kind, Result};

/// (number, SQL): numbers count up from 1 without gaps.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("migrations/0001_entries.sql")),
    (2, include_str!("migrations/0002_views.sql")),
    (3, include_str!("migrations/0003_secrets.sql")),
];

/// Brings the database up to the newest step, each step in a transaction of its own.
///
/// Errors: [`Kind::ConfigurationInvalid`] if the database is ahead of this program.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    let mut done: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await.map_err(store::error)?;
    let newest = newest();
    if done > newest {
        return Err(Error::new(
            Kind::ConfigurationInvalid,
            format!("the catalog has version {done}, and this program knows versions up to {newest}"),
        )
        .with_hint("A newer version of Alluvia wrote the data directory: use that version."));
    }
    for (number, sql) in MIGRATIONS {
        if *number <= done {
            continue;
        }
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(store::error)?;
        sqlx::raw_sql(*sql).execute(&mut *transaction).await.map_err(store::error)?;
        transaction.commit().await.map_err(store::error)?;
        done = *number;
    }
    Ok(())
}

/// Whether a catalog that isn't ours to change is as this program knows it.
pub(super) async fn check_newest(connection: &mut SqliteConnection, data_dir: &std::path::Path) -> Result<()> {
    let done: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await.map_err(store::error)?;
    if done == newest() {
        return Ok(());
    }
    let message =
        format!("the catalog of \"{}\" has version {done}, and this program's is {}", data_dir.display(), newest());
    let hint = match done < newest() {
        true => "Open it once with this version of Alluvia, which brings it up to date.",
        false => "A newer version of Alluvia wrote it: use that version.",
    };
    Err(Error::new(Kind::ConfigurationInvalid, message).with_hint(hint))
}

fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(number, _)| *number)
}
