//! The catalog's changes, each a struct that checks, writes rows and alters the snapshot in step.

mod attachments;
mod comments;
mod folders;
mod models;
mod relations;
mod schemas;
mod secrets;
mod tables;
mod views;

pub(super) use attachments::{Attach, Detach};
pub(super) use comments::SetComment;
pub(super) use folders::{ForgetFolder, ReserveFolder};
pub(super) use models::{DropModel, PutModel, check_new_model};
pub use relations::Dropped;
pub(super) use relations::{DropRelations, RenameRelation};
pub(super) use schemas::{CreateSchema, DropSchemas, RenameSchema};
pub(super) use secrets::{DropSecret, PutSecret};
pub(super) use tables::PutTable;
pub(super) use views::PutView;

use std::path::Path;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::entry::{NAME_BYTES_MAX, RESERVED_SCHEMAS};
use super::snapshot::CatalogSnapshot;
use super::store;
use crate::error::{Error, Kind, Result};

/// One atomic change. An error leaves database and snapshot as they were.
#[async_trait]
pub(super) trait Change: Send + 'static {
    type Output: Send + 'static;

    async fn apply(self, draft: &mut Draft<'_>) -> Result<Self::Output>;
}

/// What a change works on: an open transaction, and the snapshot that follows if it commits.
pub(super) struct Draft<'a> {
    pub connection: &'a mut SqliteConnection,
    pub snapshot: &'a mut CatalogSnapshot,
    pub data_dir: &'a Path,
}

/// A name that a schema, table or model can have.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.contains('\0') {
        return Err(Error::new(Kind::InvalidParameterValue, format!("{what} name \"{name}\" is not valid")));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Error::new(Kind::InvalidParameterValue, format!("{what} name is too long"))
            .with_detail(format!("It has {} bytes; at most {NAME_BYTES_MAX} are allowed.", name.len())));
    }
    Ok(())
}

/// A schema that holds tables of users.
pub(super) fn check_writable_schema(name: &str) -> Result<()> {
    if RESERVED_SCHEMAS.contains(&name) {
        return Err(Error::new(Kind::InsufficientPrivilege, format!("permission denied for schema {name}"))
            .with_detail(format!("The engine itself fills schema \"{name}\".")));
    }
    Ok(())
}

/// Runs one statement of a change.
pub(super) async fn execute<'q>(
    draft: &mut Draft<'_>,
    query: sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
) -> Result<()> {
    query.execute(&mut *draft.connection).await.map_err(store::error)?;
    Ok(())
}
