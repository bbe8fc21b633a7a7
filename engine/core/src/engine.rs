//! The process-wide state that all sessions share: catalog, models, lake, memory, usage.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use alluvia_lake::Lake;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool, UnboundedMemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

use crate::catalog::Catalog;
use crate::error::Result;
use crate::inference::UsageLog;
use crate::models::Models;
use crate::reading::Readers;
use crate::secrets::SecretStore;
use crate::session::Session;

/// How an engine is opened.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Holds tables, models and the catalog; made when it isn't there.
    pub data_dir: PathBuf,
    /// ONNX Runtime's shared library. `None` looks at `ALLUVIA_ONNXRUNTIME`, then where `make setup` puts it.
    pub onnxruntime: Option<PathBuf>,
    /// Folders in which built-in models lie. Empty means where `make setup` puts them.
    pub model_dirs: Vec<PathBuf>,
    /// Bytes that queries may hold together; a query that can neither get more nor spill ends with 53200.
    pub memory_limit_bytes: Option<usize>,
    /// Parallel streams of a query; `None` means as many as cores.
    pub target_partitions: Option<usize>,
}

impl EngineConfig {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            onnxruntime: None,
            model_dirs: vec![],
            memory_limit_bytes: None,
            target_partitions: None,
        }
    }
}

/// One engine per data directory and process.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) models: Arc<Models>,
    pub(crate) lake: Lake,
    pub(crate) secrets: Arc<SecretStore>,
    pub(crate) usage: Arc<UsageLog>,
    pub(crate) runtime_env: Arc<RuntimeEnv>,
    pub(crate) readers: Readers,
    query_ids: AtomicU64,
    process_ids: AtomicI32,
}

impl Engine {
    /// Opens the data directory, takes its lock, and sweeps what an interrupted process left behind.
    pub async fn open(config: EngineConfig) -> Result<Arc<Engine>> {
        let catalog = Arc::new(Catalog::open(&config.data_dir).await?);
        let secrets = Arc::new(SecretStore::new(Arc::clone(&catalog)));
        let lake = Lake::with_secrets(Arc::clone(&secrets) as Arc<dyn alluvia_lake::Secrets>);
        catalog.sweep(&lake).await?;
        let models = Arc::new(Models::new(
            Arc::clone(&catalog),
            &config.data_dir,
            config.onnxruntime.clone(),
            config.model_dirs.clone(),
        ));
        let runtime_env = runtime_env(config.memory_limit_bytes)?;
        let engine = Arc::new(Engine {
            config,
            catalog,
            models,
            lake,
            secrets,
            usage: Arc::new(UsageLog::default()),
            runtime_env,
            readers: Readers::default(),
            query_ids: AtomicU64::new(1),
            process_ids: AtomicI32::new(1),
        });
        crate::upkeep::start(&engine);
        Ok(engine)
    }

    /// A new session, with settings and transaction state of its own.
    pub fn session(self: &Arc<Self>, user: &str, database: &str) -> Result<Session> {
        let process_id = self.process_ids.fetch_add(1, Ordering::Relaxed).max(1);
        Session::open(Arc::clone(self), user, database, process_id)
    }

    pub(crate) fn start_query(&self) -> u64 {
        self.query_ids.fetch_add(1, Ordering::Relaxed)
    }
}

/// How many of the largest consumers an out-of-memory error names.
const CONSUMERS_NAMED: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN.saturating_add(2);

fn runtime_env(memory_limit_bytes: Option<usize>) -> Result<Arc<RuntimeEnv>> {
    let builder = RuntimeEnvBuilder::new();
    let builder = match memory_limit_bytes {
        Some(bytes) => {
            builder.with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(bytes), CONSUMERS_NAMED)))
        }
        None => builder.with_memory_pool(Arc::new(UnboundedMemoryPool::default())),
    };
    Ok(builder.build_arc()?)
}
