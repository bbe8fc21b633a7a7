//! Storing a secret, replacing one, and dropping one.

use async_trait::async_trait;
use chrono::{SecondsFormat, SubsecRound, Utc};

use super::{Change, Draft, check_name, execute};
use crate::catalog::entry::{NewSecret, SecretEntry};
use crate::catalog::store;
use crate::error::{Error, Kind, Result};
use crate::secrets::undefined;

pub(in crate::catalog) struct PutSecret {
    pub secret: NewSecret,
    pub replace: bool,
}

#[async_trait]
impl Change for PutSecret {
    type Output = ();

    async fn apply(self, draft: &mut Draft<'_>) -> Result<()> {
        let NewSecret { name, kind, scope, shown, sealed, owner } = self.secret;
        check_name("secret", &name)?;
        if !self.replace && draft.snapshot.secrets.contains_key(&name) {
            return Err(Error::new(Kind::DuplicateObject, format!("secret \"{name}\" already exists"))
                .with_hint("Use CREATE OR REPLACE SECRET to replace it."));
        }
        let mut others = draft.snapshot.secrets.values().filter(|other| other.name != name);
        if let Some(other) = others.find(|other| other.kind == kind && other.scope == scope) {
            let message = format!("secret \"{}\" has this scope already", other.name);
            return Err(Error::new(Kind::DuplicateObject, message).with_hint(
                "Give each secret of a type a SCOPE of its own; the longest that covers a location is taken.",
            ));
        }
        // Whole microseconds, as they are stored: the entry is the same before and after a restart.
        let created_at = Utc::now().trunc_subsecs(6);
        let version = store::next_oid(draft.connection).await?.into();
        let secret = SecretEntry { name, version, kind, scope, shown, sealed, owner, created_at };
        let shown = store::to_json(&secret.shown)?;
        let query = sqlx::query(
            "INSERT OR REPLACE INTO secrets (name, version, type, scope, shown, sealed, owner, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(secret.name.clone())
        .bind(i64::try_from(secret.version).map_err(Error::internal)?)
        .bind(kind.name())
        .bind(secret.scope.clone())
        .bind(shown)
        .bind(secret.sealed.clone())
        .bind(secret.owner.clone())
        .bind(secret.created_at.to_rfc3339_opts(SecondsFormat::Micros, true));
        execute(draft, query).await?;
        draft.snapshot.secrets.insert(secret.name.clone(), secret.into());
        Ok(())
    }
}

pub(in crate::catalog) struct DropSecret {
    pub name: String,
}

#[async_trait]
impl Change for DropSecret {
    type Output = ();

    async fn apply(self, draft: &mut Draft<'_>) -> Result<()> {
        if draft.snapshot.secrets.remove(&self.name).is_none() {
            return Err(undefined(&self.name));
        }
        execute(draft, sqlx::query("DELETE FROM secrets WHERE name = ?").bind(self.name)).await
    }
}
