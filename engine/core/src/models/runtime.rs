//! ONNX Runtime's library: found and loaded when the first model needs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvia_inference::Runtime;
use parking_lot::Mutex;

use crate::error::{Error, Kind, Result};

/// Names the library's file.
const VARIABLE: &str = "ALLUVIA_ONNXRUNTIME";

#[cfg(target_os = "macos")]
const SETUP_LIBRARY: &str = ".setup/onnxruntime/libonnxruntime.dylib";
#[cfg(not(target_os = "macos"))]
const SETUP_LIBRARY: &str = ".setup/onnxruntime/libonnxruntime.so";

const HINT: &str = "Run `make setup`, or set ALLUVIA_ONNXRUNTIME to the library's file.";

/// Clones share one runtime.
#[derive(Clone, Debug)]
pub(super) struct LazyRuntime {
    configured: Option<PathBuf>,
    loaded: Arc<Mutex<Loaded>>,
}

#[derive(Default)]
struct Loaded(Option<Arc<Runtime>>);

impl std::fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.0.is_some() { "loaded" } else { "not loaded" })
    }
}

impl LazyRuntime {
    pub(super) fn new(configured: Option<PathBuf>) -> LazyRuntime {
        LazyRuntime { configured, loaded: Arc::default() }
    }

    /// The runtime; loads it if need be, and tries again after a failure. Blocks.
    ///
    /// Errors: [`Kind::ConfigurationInvalid`] if there is no library where one should be; those of loading it.
    pub(super) fn load(&self) -> Result<Arc<Runtime>> {
        let mut loaded = self.loaded.lock();
        if let Some(runtime) = &loaded.0 {
            return Ok(Arc::clone(runtime));
        }
        let library = self.library()?;
        let runtime = Runtime::load(&library).map_err(|error| {
            let error = Error::from(error);
            if error.hint.is_some() { error } else { error.with_hint(HINT) }
        })?;
        loaded.0 = Some(Arc::clone(&runtime));
        Ok(runtime)
    }

    /// Closes the models of these files, if the runtime is loaded at all.
    pub(super) fn close(&self, sha256: &str) {
        if let Some(runtime) = &self.loaded.lock().0 {
            runtime.close(sha256);
        }
    }

    /// The file that is configured; else the one the environment names; else the one of `make setup`.
    fn library(&self) -> Result<PathBuf> {
        let named = self.configured.clone().or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
        let places = match named {
            Some(library) => vec![library],
            None => setup_places(Path::new(SETUP_LIBRARY)),
        };
        if let Some(library) = places.iter().find(|place| place.is_file()) {
            return Ok(library.clone());
        }
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        Err(Error::new(Kind::ConfigurationInvalid, "onnx runtime library not found")
            .with_detail(format!("It was looked for at {}.", places.join(", ")))
            .with_hint(HINT))
    }
}

/// Where something that `make setup` makes may lie: under the working directory, and beside the folders that hold the
/// executable (`target/release/alluvia` lies in the checkout).
pub(super) fn setup_places(relative: &Path) -> Vec<PathBuf> {
    let mut places = vec![relative.to_owned()];
    let executable = std::env::current_exe().and_then(|path| path.canonicalize()).unwrap_or_default();
    for folder in executable.ancestors().skip(1) {
        let place = folder.join(relative);
        if place.exists() {
            places.push(place);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_an_error_that_says_what_to_run() {
        let runtime = LazyRuntime::new(Some(PathBuf::from("no/such/library.so")));
        let error = runtime.load().unwrap_err();
        assert_eq!(error.kind, Kind::ConfigurationInvalid);
        assert!(error.detail.unwrap().contains("no/such/library.so"));
        assert!(error.hint.unwrap().contains("make setup"));
    }
}
