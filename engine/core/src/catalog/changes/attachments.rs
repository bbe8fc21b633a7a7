//! `ATTACH` and `DETACH`.

use async_trait::async_trait;
use url::Url;

use super::relations::{dependents_exist, used_by};
use super::{Change, Draft, check_name, execute};
use crate::catalog::entry::Attachment;
use crate::catalog::store;
use crate::error::{Error, Kind, Result};

pub(in crate::catalog) struct Attach {
    pub name: String,
    pub location: Url,
}

#[async_trait]
impl Change for Attach {
    type Output = ();

    async fn apply(self, draft: &mut Draft<'_>) -> Result<()> {
        let Attach { name, location } = self;
        check_name("database", &name)?;
        if name == crate::planning::CATALOG || draft.snapshot.attachments.contains_key(&name) {
            return Err(Error::new(Kind::DuplicateObject, format!("database \"{name}\" already exists")));
        }
        let oid = store::next_oid(draft.connection).await?;
        let insert = sqlx::query("INSERT INTO attachments (oid, name, location) VALUES (?, ?, ?)");
        execute(draft, insert.bind(oid).bind(&name).bind(location.as_str())).await?;
        draft.snapshot.attachments.insert(name.clone(), Attachment { oid, name, location });
        Ok(())
    }
}

pub(in crate::catalog) struct Detach {
    pub name: String,
}

#[async_trait]
impl Change for Detach {
    type Output = ();

    async fn apply(self, draft: &mut Draft<'_>) -> Result<()> {
        let attachment = draft.snapshot.attachments.get(&self.name).cloned();
        let undefined = || Error::new(Kind::UndefinedObject, format!("database \"{}\" is not attached", self.name));
        let attachment = attachment.ok_or_else(undefined)?;
        let what = format!("database {}", self.name);
        let users = used_by(draft.snapshot, &[attachment.oid], &what);
        if !users.is_empty() {
            return Err(dependents_exist(&what, &users));
        }
        draft.snapshot.attachments.remove(&self.name);
        execute(draft, sqlx::query("DELETE FROM attachments WHERE oid = ?").bind(attachment.oid)).await
    }
}
