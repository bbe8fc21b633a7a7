//! Registering a model, replacing one, and dropping one.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{SecondsFormat, SubsecRound, Utc};

use super::comments::forget_comments;
use super::folders::{forget, mark_unfinished_path};
use super::relations::{dependents_exist, used_by};
use super::{Change, Draft, check_name};
use crate::catalog::entry::{ModelEntry, NewModel};
use crate::catalog::{CatalogSnapshot, folders, store};
use crate::error::{Error, Kind, Result};

pub(in crate::catalog) struct PutModel {
    pub model: NewModel,
    pub replace: bool,
}

#[async_trait]
impl Change for PutModel {
    type Output = Arc<ModelEntry>;

    async fn apply(self, draft: &mut Draft<'_>) -> Result<Arc<ModelEntry>> {
        check_new_model(draft.snapshot, &self.model.name, self.replace)?;
        let replaced = draft.snapshot.models.get(&self.model.name).cloned();
        let oid = match &replaced {
            Some(model) => model.oid,
            None => store::next_oid(draft.connection).await?,
        };
        // Whole microseconds, as they are stored: the entry is the same before and after a restart.
        let entry = self.model.into_entry(oid, Utc::now().trunc_subsecs(6));
        write_row(draft, &entry).await?;
        draft.snapshot.models.insert(entry.name.clone(), Arc::clone(&entry));
        if let Some(model) = replaced {
            mark_files_unfinished(draft, &model).await?;
        }
        forget(draft, &format!("{}/{}", folders::MODELS_FOLDER, entry.sha256)).await?;
        Ok(entry)
    }
}

pub(in crate::catalog) fn check_new_model(snapshot: &CatalogSnapshot, name: &str, replace: bool) -> Result<()> {
    check_name("model", name)?;
    if !replace && snapshot.models.contains_key(name) {
        return Err(Error::new(Kind::DuplicateObject, format!("model \"{name}\" already exists"))
            .with_hint("Use CREATE OR REPLACE MODEL to replace it."));
    }
    Ok(())
}

async fn write_row(draft: &mut Draft<'_>, model: &ModelEntry) -> Result<()> {
    sqlx::query(
        "INSERT OR REPLACE INTO models (oid, name, sha256, source, options, spec, owner, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(model.oid)
    .bind(&model.name)
    .bind(&model.sha256)
    .bind(&model.source)
    .bind(store::to_json(&model.options)?)
    .bind(store::to_json(&model.spec)?)
    .bind(&model.owner)
    .bind(model.created_at.to_rfc3339_opts(SecondsFormat::Micros, true))
    .execute(&mut *draft.connection)
    .await
    .map_err(store::error)?;
    Ok(())
}

pub(in crate::catalog) struct DropModel {
    pub name: String,
}

#[async_trait]
impl Change for DropModel {
    type Output = Arc<ModelEntry>;

    async fn apply(self, draft: &mut Draft<'_>) -> Result<Arc<ModelEntry>> {
        let model = draft.snapshot.models.get(&self.name).cloned();
        let undefined = || Error::new(Kind::UndefinedObject, format!("model \"{}\" does not exist", self.name));
        let model = model.ok_or_else(undefined)?;
        let what = format!("model {}", self.name);
        let users = used_by(draft.snapshot, &[model.oid], &what);
        if !users.is_empty() {
            return Err(dependents_exist(&what, &users).with_hint("Drop them first."));
        }
        draft.snapshot.models.remove(&self.name);
        forget_comments(draft, model.oid).await?;
        sqlx::query("DELETE FROM models WHERE oid = ?")
            .bind(model.oid)
            .execute(&mut *draft.connection)
            .await
            .map_err(store::error)?;
        mark_files_unfinished(draft, &model).await?;
        Ok(model)
    }
}

/// Marks the files of a model that lost its name for removal, unless another model has the same files.
async fn mark_files_unfinished(draft: &mut Draft<'_>, model: &ModelEntry) -> Result<()> {
    if draft.snapshot.names_model_files(&model.sha256, "") {
        return Ok(());
    }
    mark_unfinished_path(draft, &format!("{}/{}", folders::MODELS_FOLDER, model.sha256)).await
}
