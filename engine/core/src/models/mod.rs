//! Model files by content, and models ready to run.
//!
//! A model's way: [`import`] copies its files into `<data_dir>/models/<sha256>/`, the catalog gives them a name, and
//! [`Models::open`] loads them once for all queries.

/// Between a source, the store and the catalog.
mod create;
/// Copying files into the store.
mod import;
/// What names a model's folder.
mod digest;
/// Models with their weights in memory.
mod open;
/// Finding ONNX Runtime's library.
mod runtime;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvia_udfs::ModelPort;
use arrow::datatypes::DataType;
use datafusion::common::utils::datafusion_strsim::levenshtein;

use crate::catalog::{Catalog, CatalogSnapshot, ModelEntry};
use crate::error::{Error, Kind, Result};
use open::Opened;
pub use open::Residence;
use runtime::LazyRuntime;

/// The model that `embed(text)` means.
const DEFAULT_EMBEDDING: &str = "all-MiniLM-L6-v2";

/// Where `make setup` puts built-in models.
const DEFAULT_MODEL_DIR: &str = ".setup/models";

/// The model store of one data directory.
#[derive(Debug)]
pub struct Models {
    catalog: Arc<Catalog>,
    /// `<data_dir>/models`
    store: PathBuf,
    runtime: LazyRuntime,
    model_dirs: Vec<PathBuf>,
    opened: Opened,
    /// Held while files move in or out of the store, so that no import meets the removal of the same files.
    moving: tokio::sync::Mutex<()>,
    /// Held while the default model is registered, so that many sessions that need it at once copy it once.
    registering_default: tokio::sync::Mutex<()>,
}

impl Models {
    /// `onnxruntime`: the runtime's library; none means the environment or where `make setup` puts it. It is loaded
    /// at first use. `model_dirs`: where built-in models lie; empty means where `make setup` puts them.
    pub fn new(
        catalog: Arc<Catalog>,
        data_dir: &Path,
        onnxruntime: Option<PathBuf>,
        model_dirs: Vec<PathBuf>,
    ) -> Models {
        let model_dirs = match model_dirs.is_empty() {
            true => runtime::setup_places(Path::new(DEFAULT_MODEL_DIR)),
            false => model_dirs,
        };
        Models {
            catalog,
            store: data_dir.join("models"),
            runtime: LazyRuntime::new(onnxruntime),
            model_dirs,
            opened: Opened::default(),
            moving: tokio::sync::Mutex::default(),
            registering_default: tokio::sync::Mutex::default(),
        }
    }

    /// A model by name.
    ///
    /// Errors: [`Kind::UndefinedObject`], with a hint that names similar ones.
    pub fn entry(&self, name: &str) -> Result<Arc<ModelEntry>> {
        let snapshot = self.catalog.snapshot();
        snapshot.model(name).cloned().ok_or_else(|| self.undefined(name, &snapshot))
    }

    /// Registers the default embedding model out of the built-in ones, unless the catalog has a model of that name.
    /// A statement that says `embed(text)` is planned after this.
    pub async fn ensure_default(&self) -> Result<()> {
        let registered = || self.catalog.snapshot().model(DEFAULT_EMBEDDING).is_some();
        if registered() {
            return Ok(());
        }
        let _registering = self.registering_default.lock().await;
        if registered() {
            return Ok(());
        }
        let source = self
            .model_dirs
            .iter()
            .map(|folder| folder.join(DEFAULT_EMBEDDING))
            .find(|folder| folder.is_dir())
            .ok_or_else(|| self.no_default())?;
        match self.create(DEFAULT_EMBEDDING, &source, &BTreeMap::new(), false, "system").await {
            Ok(_) => Ok(()),
            // Somebody else's CREATE MODEL was faster.
            Err(error) if error.kind == Kind::DuplicateObject => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The name of the model that `embed(text)` means.
    pub fn default_embedding(&self) -> &str {
        DEFAULT_EMBEDDING
    }

    fn undefined(&self, name: &str, snapshot: &CatalogSnapshot) -> Error {
        if name == DEFAULT_EMBEDDING {
            return self.no_default();
        }
        let error = Error::new(Kind::UndefinedObject, format!("model \"{name}\" does not exist"));
        let near = near_names(name, snapshot.models.keys());
        match near.is_empty() {
            true => error.with_hint("Make it with CREATE MODEL; the table system.models lists the models there are."),
            false => error.with_hint(format!("Perhaps you meant {}.", near.join(" or "))),
        }
    }

    fn no_default(&self) -> Error {
        let places: Vec<String> = self.model_dirs.iter().map(|folder| folder.display().to_string()).collect();
        Error::new(Kind::ModelMissing, format!("the default embedding model \"{DEFAULT_EMBEDDING}\" is not installed"))
            .with_detail(format!("It was looked for in {}.", places.join(", ")))
            .with_hint("Run `make setup`, or name a model: embed(text, 'model').")
    }
}

/// Up to three names that are `name` but for case, or for a third of its letters.
fn near_names<'a>(name: &str, candidates: impl Iterator<Item = &'a String>) -> Vec<String> {
    const NAMED_MAX: usize = 3;
    let wanted = name.to_lowercase();
    let mut near: Vec<(usize, &String)> = candidates
        .map(|candidate| (levenshtein(&candidate.to_lowercase(), &wanted), candidate))
        .filter(|(distance, _)| *distance <= name.chars().count().div_ceil(3))
        .collect();
    near.sort();
    near.into_iter().take(NAMED_MAX).map(|(_, candidate)| format!("\"{candidate}\"")).collect()
}

impl ModelPort for Models {
    fn output_type(&self, model: &str) -> datafusion::error::Result<DataType> {
        Ok(self.entry(model)?.spec.output_type())
    }

    fn default_embedding(&self) -> datafusion::error::Result<String> {
        Ok(DEFAULT_EMBEDDING.to_owned())
    }
}

#[cfg(test)]
mod tests;
