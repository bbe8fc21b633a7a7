//! `CREATE MODEL` and `DROP MODEL`: between a source, the store and the catalog.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvia_inference::{ModelOptions, ModelSpec};

use super::Models;
use super::import::Staged;
use crate::catalog::{ModelEntry, NewModel};
use crate::error::{Error, Kind, Result};

/// A model that was read and copied, not yet in its place.
struct Read {
    staged: Staged,
    spec: ModelSpec,
}

impl Models {
    /// Imports a model and gives it a name.
    ///
    /// `source`: a file or folder, relative to the working directory. `options`: the pairs of WITH. The model is opened
    /// once, so that one which can't run fails here; then nothing is left behind, in the store or in the catalog.
    ///
    /// Errors: [`Kind::DuplicateObject`] unless `replace`; [`Kind::UndefinedFile`]; those of reading the model.
    pub async fn create(
        &self,
        name: &str,
        source: &Path,
        options: &BTreeMap<String, String>,
        replace: bool,
        owner: &str,
    ) -> Result<Arc<ModelEntry>> {
        let options = ModelOptions::parse(options)?;
        self.catalog.check_new_model(name, replace)?;
        let Read { staged, spec } = self.read(source, &options).await?;
        let model = NewModel {
            name: name.to_owned(),
            sha256: staged.sha256.clone(),
            source: source.display().to_string(),
            options,
            spec,
            owner: owner.to_owned(),
        };
        let _moving = self.moving.lock().await;
        let sha256 = model.sha256.clone();
        match self.place_and_register(staged, model, source, replace).await {
            Ok(entry) => Ok(entry),
            Err(error) => {
                self.forget_unnamed(&self.catalog.snapshot());
                self.catalog.discard_model_folder(&sha256).await?;
                Err(error)
            }
        }
    }

    /// Takes a model's name away, and its files unless another model has the same. Queries that run it go on.
    ///
    /// Answers whether there was such a model; errors with [`Kind::UndefinedObject`] if not and `if_exists` is false.
    pub async fn remove(&self, name: &str, if_exists: bool) -> Result<bool> {
        let _moving = self.moving.lock().await;
        let entry = match self.catalog.drop_model(name).await {
            Err(error) if if_exists && error.kind == Kind::UndefinedObject => return Ok(false),
            Err(error) if error.kind == Kind::UndefinedObject => return Err(self.entry(name).err().unwrap_or(error)),
            dropped => dropped?,
        };
        self.forget_unnamed(&self.catalog.snapshot());
        self.catalog.discard_model_folder(&entry.sha256).await?;
        Ok(true)
    }

    async fn read(&self, source: &Path, options: &ModelOptions) -> Result<Read> {
        let (runtime, store) = (self.runtime.clone(), self.store.clone());
        let (source, options) = (source.to_owned(), options.clone());
        blocking(move || {
            let metadata = std::fs::metadata(&source).map_err(|error| {
                let message = format!("could not open model \"{}\": {error}", source.display());
                Error { message, ..Error::from(error) }
                    .with_hint("A relative path starts at the server's working directory.")
            })?;
            let spec = runtime.load()?.inspect(&source, &options)?;
            let folder: PathBuf = match metadata.is_dir() {
                true => source,
                false => source.parent().unwrap_or(Path::new("")).to_owned(),
            };
            Ok(Read { staged: Staged::copy(&store, &folder, &spec.files)?, spec })
        })
        .await
    }

    /// The caller holds `moving`, and removes the folder on an error.
    async fn place_and_register(
        &self,
        staged: Staged,
        model: NewModel,
        source: &Path,
        replace: bool,
    ) -> Result<Arc<ModelEntry>> {
        let snapshot = self.catalog.snapshot();
        let replaced = snapshot.model(&model.name).cloned();
        let folder = self.folder(&model.sha256);
        if !snapshot.models.values().any(|other| other.sha256 == model.sha256) {
            // A folder that no model names may be anything: it makes way.
            self.catalog.discard_model_folder(&model.sha256).await?;
            self.catalog.reserve_model_folder(&model.sha256).await?;
            let store = self.store.clone();
            blocking(move || staged.place(&store)).await?;
        }
        self.open(&model.clone().unregistered()).await.map_err(|error| naming(error, &folder, source))?;
        let entry = self.catalog.put_model(model, replace).await?;
        self.forget_unnamed(&self.catalog.snapshot());
        if let Some(old) = replaced.filter(|old| old.sha256 != entry.sha256) {
            self.catalog.discard_model_folder(&old.sha256).await?;
        }
        Ok(entry)
    }
}

/// Errors name the path that the user knows, not the one in the store.
fn naming(mut error: Error, stored: &Path, source: &Path) -> Error {
    let (stored, source) = (stored.display().to_string(), source.display().to_string());
    error.message = error.message.replace(&stored, &source);
    error.detail = error.detail.map(|detail| detail.replace(&stored, &source));
    error
}

/// Runs file and library work off the threads that serve connections.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let task = tokio::task::spawn_blocking(work);
    task.await.map_err(|error| Error::internal(format!("model store task ended early: {error}")))?
}
