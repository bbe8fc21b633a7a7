//! Models ready to run. The runtime holds them and closes idle ones; here their files are first found to be the ones
//! that were imported, and it is remembered where each model runs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use alluvia_inference::{Model, ModelOptions};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::create::blocking;
use super::{Models, import};
use crate::catalog::{CatalogSnapshot, ModelEntry};
use crate::error::{Error, Kind, Result};

/// What is known of models that this process has opened. As large as the catalog's list of models, at most.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// Filled once a model's files were verified, by SHA-256.
    verified: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
    models: Mutex<HashMap<(String, ModelOptions), OpenedModel>>,
}

#[derive(Debug)]
struct OpenedModel {
    device: String,
    /// Gone when the runtime has closed the model.
    model: Weak<Model>,
}

/// Where a model runs, or ran last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residence {
    /// `cpu`, `cuda:0`; for `auto` the device it took.
    pub device: String,
    /// Memory that the model holds now; none when it has been closed.
    pub resident_bytes: Option<u64>,
}

impl Models {
    /// A model with its weights in memory. Whoever asks first loads it, others wait for that.
    ///
    /// Errors: [`Kind::ModelMissing`] and [`Kind::ModelInvalid`] if the stored files are gone or have changed;
    /// [`Kind::ConfigurationInvalid`] without ONNX Runtime; [`Kind::DeviceUnavailable`].
    pub async fn open(&self, entry: &ModelEntry) -> Result<Arc<Model>> {
        let cell = Arc::clone(self.opened.verified.lock().entry(entry.sha256.clone()).or_default());
        cell.get_or_try_init(|| self.verify(entry)).await?;
        let (runtime, folder, load) = (self.runtime.clone(), self.folder(&entry.sha256), entry.clone());
        let model =
            blocking(move || Ok(runtime.load()?.open(&folder, &load.spec, &load.sha256, &load.options)?)).await?;
        let opened = OpenedModel { device: model.device().to_owned(), model: Arc::downgrade(&model) };
        self.opened.models.lock().insert((entry.sha256.clone(), entry.options.clone()), opened);
        Ok(model)
    }

    /// Where a model runs; none if this process hasn't opened it yet.
    pub fn residence(&self, entry: &ModelEntry) -> Option<Residence> {
        let models = self.opened.models.lock();
        let opened = models.get(&(entry.sha256.clone(), entry.options.clone()))?;
        let resident_bytes = opened.model.upgrade().map(|model| model.resident_bytes());
        Some(Residence { device: opened.device.clone(), resident_bytes })
    }

    /// Lets go of models that have no name any longer; queries that run one keep it until they end.
    pub(super) fn forget_unnamed(&self, snapshot: &CatalogSnapshot) {
        let named = |sha256: &str| snapshot.models.values().any(|entry| entry.sha256 == sha256);
        let unnamed: Vec<String> = self.opened.verified.lock().keys().filter(|key| !named(key)).cloned().collect();
        for sha256 in unnamed {
            self.opened.verified.lock().remove(&sha256);
            self.runtime.close(&sha256);
        }
        let in_use = |(sha256, options): &(String, ModelOptions)| {
            snapshot.models.values().any(|entry| entry.sha256 == *sha256 && entry.options == *options)
        };
        self.opened.models.lock().retain(|key, _| in_use(key));
    }

    /// Where the store has a model's files.
    pub(super) fn folder(&self, sha256: &str) -> PathBuf {
        self.store.join(sha256)
    }

    async fn verify(&self, entry: &ModelEntry) -> Result<()> {
        let (folder, entry) = (self.folder(&entry.sha256), entry.clone());
        blocking(move || verify_files(&folder, &entry)).await
    }
}

fn verify_files(folder: &Path, entry: &ModelEntry) -> Result<()> {
    let found = import::stored_digest(folder, &entry.spec.files)?;
    match found == entry.sha256 {
        true => Ok(()),
        false => Err(Error::new(Kind::ModelInvalid, format!("the files of model \"{}\" have changed", entry.name))
            .with_detail(format!("Their SHA-256 is {found}; {} was imported.", entry.sha256))
            .with_hint("Import the model again with CREATE OR REPLACE MODEL.")),
    }
}
