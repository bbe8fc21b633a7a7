//! The list of unfinished folders: written down before their first file, struck off with their last.

use async_trait::async_trait;

use super::schemas::undefined_schema;
use super::{Change, Draft};
use crate::catalog::entry::{TableEntry, TableKind};
use crate::catalog::{folders, store};
use crate::error::Result;

pub(in crate::catalog) struct ReserveFolder {
    /// The schema that must exist.
    pub schema: Option<String>,
    pub path: String,
}

#[async_trait]
impl Change for ReserveFolder {
    type Output = ();

    async fn apply(self, draft: &mut Draft<'_>) -> Result<()> {
        if let Some(schema) = self.schema.filter(|schema| !draft.snapshot.schemas.contains_key(schema)) {
            return Err(undefined_schema(&schema));
        }
        mark_unfinished_path(draft, &self.path).await
    }
}

pub(in crate::catalog) struct ForgetFolder {
    pub path: String,
}

#[async_trait]
impl Change for ForgetFolder {
    type Output = ();

    async fn apply(self, draft: &mut Draft<'_>) -> Result<()> {
        forget(draft, &self.path).await
    }
}

/// Puts the folder of a table that loses its name on the list, if its files are ours.
pub(super) async fn mark_unfinished(draft: &mut Draft<'_>, table: &TableEntry) -> Result<()> {
    match table.kind {
        TableKind::Managed => {
            let path = folders::relative_folder(draft.data_dir, &table.location)?;
            mark_unfinished_path(draft, &path).await
        }
        TableKind::Located | TableKind::External(_) => Ok(()),
    }
}

pub(super) async fn mark_unfinished_path(draft: &mut Draft<'_>, path: &str) -> Result<()> {
    sqlx::query("INSERT OR IGNORE INTO unfinished_folders (path) VALUES (?)")
        .bind(path)
        .execute(&mut *draft.connection)
        .await
        .map_err(store::error)?;
    Ok(())
}

pub(super) async fn forget(draft: &mut Draft<'_>, path: &str) -> Result<()> {
    sqlx::query("DELETE FROM unfinished_folders WHERE path = ?")
        .bind(path)
        .execute(&mut *draft.connection)
        .await
        .map_err(store::error)?;
    Ok(())
}
