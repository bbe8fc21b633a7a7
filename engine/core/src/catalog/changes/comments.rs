//! What is said about things and their columns.

use async_trait::async_trait;

use super::{Change, Draft, execute};
use crate::error::Result;

pub(in crate::catalog) struct SetComment {
    pub oid: u32,
    /// Empty for the thing itself.
    pub column: String,
    pub comment: Option<String>,
}

#[async_trait]
impl Change for SetComment {
    type Output = ();

    async fn apply(self, draft: &mut Draft<'_>) -> Result<()> {
        set_comment(draft, self.oid, &self.column, self.comment).await
    }
}

pub(super) async fn set_comment(draft: &mut Draft<'_>, oid: u32, column: &str, comment: Option<String>) -> Result<()> {
    let key = (oid, column.to_owned());
    let Some(comment) = comment else {
        if draft.snapshot.comments.remove(&key).is_none() {
            return Ok(());
        }
        let delete = sqlx::query(r#"DELETE FROM comments WHERE oid = ? AND "column" = ?"#).bind(oid).bind(column);
        return execute(draft, delete).await;
    };
    let insert = sqlx::query(r#"INSERT OR REPLACE INTO comments (oid, "column", comment) VALUES (?, ?, ?)"#);
    execute(draft, insert.bind(oid).bind(column).bind(&comment)).await?;
    draft.snapshot.comments.insert(key, comment);
    Ok(())
}

/// Takes back all that was said about a thing that goes.
pub(super) async fn forget_comments(draft: &mut Draft<'_>, oid: u32) -> Result<()> {
    if draft.snapshot.comments.keys().all(|(known, _)| *known != oid) {
        return Ok(());
    }
    draft.snapshot.comments.retain(|(known, _), _| *known != oid);
    execute(draft, sqlx::query("DELETE FROM comments WHERE oid = ?").bind(oid)).await
}
