//! The process-wide ONNX Runtime: its shared library, its environment with one thread pool for all sessions, and the
//! models that are open in it.

use std::{
    collections::HashMap,
    ffi::CStr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ort::environment::{Environment, GlobalThreadPoolOptions};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{OnnxModel, folder, message_of, session};
use crate::{
    cpu,
    error::{Error, Result},
    model::Model,
    options::ModelOptions,
    spec::ModelSpec,
};

/// Models that no query uses are closed when all open models together hold more than this.
const RESIDENT_BYTES_MAX: u64 = 4 << 30;

/// The loaded library. One per process; clones of the `Arc` are cheap.
pub struct Runtime {
    library: PathBuf,
    version: String,
    environment: Environment,
    open: Mutex<HashMap<Key, Slot>>,
    clock: AtomicU64,
    resident_bytes_max: AtomicU64,
}

/// A device that models may run on.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// As `WITH (device = ...)` takes it.
    pub name: String,
    /// The execution provider of ONNX Runtime.
    pub provider: String,
    pub vendor: String,
}

#[derive(PartialEq, Eq, Hash, Clone)]
struct Key {
    sha256: String,
    options: ModelOptions,
}

#[derive(Default)]
struct Slot {
    /// Locked while the model loads, so that it loads once.
    model: Arc<Mutex<Option<Arc<Model>>>>,
    used_at: u64,
}

impl Runtime {
    /// Loads ONNX Runtime from `library`. A second call with the same file returns the same runtime.
    ///
    /// # Errors
    /// `RuntimeMissing` where the file is absent, is no ONNX Runtime or is too old; `RuntimeLoaded` where the process
    /// already holds another one.
    pub fn load(library: &Path) -> Result<Arc<Runtime>> {
        static RUNTIME: Mutex<Option<Arc<Runtime>>> = Mutex::new(None);
        let missing = |reason: String| Error::RuntimeMissing { path: library.into(), reason };
        let path = library.canonicalize().map_err(|error| missing(error.to_string()))?;
        let mut loaded = RUNTIME.lock();
        if let Some(runtime) = loaded.as_ref() {
            if runtime.library == path {
                return Ok(Arc::clone(runtime));
            }
            return Err(Error::RuntimeLoaded { loaded: runtime.library.clone(), asked: path });
        }
        let version = library_version(&path).map_err(missing)?;
        let builder = ort::init_from(&path).map_err(|error| missing(error.to_string()))?;
        let environment = environment(builder).map_err(|error| missing(message_of(&error)))?;
        let runtime = Arc::new(Runtime {
            library: path,
            version,
            environment,
            open: Mutex::default(),
            clock: AtomicU64::new(0),
            resident_bytes_max: AtomicU64::new(RESIDENT_BYTES_MAX),
        });
        *loaded = Some(Arc::clone(&runtime));
        Ok(runtime)
    }

    /// The version of the library, such as `1.31.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Reads what the model at `path` (an .onnx file or a folder) is. Loads its graph for that, and runs a text model
    /// once over a few tokens, so that a tokenizer that doesn't match is found here.
    pub fn inspect(&self, path: &Path, options: &ModelOptions) -> Result<ModelSpec> {
        folder::inspect(self, path, options)
    }

    /// Opens a model, or returns the one that is open. `path` is the folder or file that `inspect` read, or a folder
    /// that holds a copy of `ModelSpec::files`. Blocks while the model loads.
    pub fn open(
        self: &Arc<Self>,
        path: &Path,
        spec: &ModelSpec,
        sha256: &str,
        options: &ModelOptions,
    ) -> Result<Arc<Model>> {
        let key = Key { sha256: sha256.into(), options: options.clone() };
        let slot = {
            let mut open = self.open.lock();
            let slot = open.entry(key.clone()).or_default();
            slot.used_at = self.clock.fetch_add(1, Ordering::Relaxed);
            Arc::clone(&slot.model)
        };
        let mut held = slot.lock();
        if let Some(model) = held.as_ref() {
            return Ok(Arc::clone(model));
        }
        match OnnxModel::open(self, path, spec, options) {
            Ok(provider) => {
                let model = Model::new(spec.clone(), sha256, Box::new(provider));
                *held = Some(Arc::clone(&model));
                drop(held);
                self.close_idle();
                Ok(model)
            }
            Err(error) => {
                drop(held);
                self.open.lock().remove(&key);
                Err(error)
            }
        }
    }

    /// Forgets the open models of this file; queries that use one keep it until they end.
    pub fn close(&self, sha256: &str) {
        self.open.lock().retain(|key, _| key.sha256 != sha256);
    }

    /// Sets how much memory all open models may hold before idle ones are closed, in bytes.
    pub fn set_resident_bytes_max(&self, bytes: u64) {
        self.resident_bytes_max.store(bytes, Ordering::Relaxed);
        self.close_idle();
    }

    /// The devices this build of ONNX Runtime finds.
    pub fn devices(&self) -> Vec<DeviceInfo> {
        session::devices(&self.environment)
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Closes models that nobody uses, the longest unused first, until the rest fits.
    fn close_idle(&self) {
        let limit = self.resident_bytes_max.load(Ordering::Relaxed);
        let mut open = self.open.lock();
        let mut models: Vec<(u64, Key, u64, bool)> = Vec::with_capacity(open.len());
        for (key, slot) in open.iter() {
            // A slot that is locked is loading.
            if let Some(held) = slot.model.try_lock()
                && let Some(model) = held.as_ref()
            {
                let idle = Arc::strong_count(model) == 1;
                models.push((slot.used_at, key.clone(), model.resident_bytes(), idle));
            }
        }
        models.sort_by_key(|(used_at, ..)| *used_at);
        let mut total: u64 = models.iter().map(|(_, _, bytes, _)| *bytes).sum();
        for (_, key, bytes, idle) in models {
            if total <= limit {
                break;
            }
            if idle {
                open.remove(&key);
                total = total.saturating_sub(bytes);
            }
        }
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Runtime").field("library", &self.library).field("version", &self.version).finish()
    }
}

/// One pool for all sessions. Its threads don't spin while they wait: the query engine shares the cores.
fn environment(builder: ort::environment::EnvironmentBuilder) -> ort::Result<Environment> {
    let pool = GlobalThreadPoolOptions::default().with_intra_threads(cpu::threads())?.with_spin_control(false)?;
    let environment = builder.with_name("alluvia").with_telemetry(false).with_global_thread_pool(pool).build()?;
    environment.set_log_level(ort::logging::LogLevel::Warning);
    Ok(environment)
}

/// Asks the library for its version, before anything that would panic on a wrong one touches it.
#[allow(unsafe_code)]
fn library_version(path: &Path) -> std::result::Result<String, String> {
    type ApiBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: loading runs the library's initializers, which is what an administrator who names it asks for. The symbol
    // has the signature that ONNX Runtime documents for it; both pointers are checked before they are read, and the
    // version is a static string of the library, which `ort` keeps loaded right after.
    let version = unsafe {
        let library = libloading::Library::new(path).map_err(|error| error.to_string())?;
        let api_base: libloading::Symbol<'_, ApiBase> =
            library.get(b"OrtGetApiBase").map_err(|_| "the file is not ONNX Runtime".to_string())?;
        let base = api_base().as_ref().ok_or_else(|| "the library has no API".to_string())?;
        let text = (base.GetVersionString)();
        if text.is_null() {
            return Err("the library does not tell its version".into());
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    };
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()).unwrap_or(0);
    if minor < ort::MINOR_VERSION {
        return Err(format!("version {version} is too old, 1.{} or newer is needed", ort::MINOR_VERSION));
    }
    Ok(version)
}
