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

/// A server in this process, on a free port of the loopback interface.
pub struct Served {
    folder: TempDir,
    pub address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Served {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        let engine = Engine::open(config).await.unwrap();
        let server = Server::bind(engine, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = server.local_addr();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(server.run(shutdown.clone()));
        Self { folder, address, shutdown, task }
    }

    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    pub async fn connect(&self) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.address.port()).user("tester").dbname("alluvia");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}
