//! Engines and servers on data directories that go when the test ends.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvia_core::{Engine, EngineConfig};
use alluvia_server::Server;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The repository's root; `.setup` lies there.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A configuration that finds what `make setup` fetched, wherever the test runs.
pub fn config(data_dir: &Path) -> EngineConfig {
    let setup = root().join(".setup");
    let library = if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" };
    let mut config = EngineConfig::new(data_dir);
    config.onnxruntime = std::env::var_os("ALLUVIA_ONNXRUNTIME")
        .map(PathBuf::from)
        .or_else(|| Some(setup.join("onnxruntime").join(library)));
    config.model_dirs = vec![setup.join("models")];
    config
}

pub async fn engine() -> (TempDir, Arc<Engine>) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(folder.path())).await.unwrap();
    (folder, engine)
}
