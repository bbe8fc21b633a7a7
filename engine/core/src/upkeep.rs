//! A task that compacts tables which want it, one after the other, while statements go on.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Result;
use crate::planning::CATALOG;
use crate::session::Session;

/// Who compacts, where users are named.
const USER: &str = "alluvia";

/// Starts the task. It ends with the engine.
pub(crate) fn start(engine: &Arc<Engine>) {
    let mut wanted = engine.lake.watch_compactions();
    let engine = Arc::downgrade(engine);
    tokio::spawn(async move {
        while let Some(location) = wanted.recv().await {
            let mut locations = BTreeSet::from([location]);
            while let Ok(location) = wanted.try_recv() {
                locations.insert(location);
            }
            for location in locations {
                let Some(engine) = engine.upgrade() else { return };
                match compact(&engine, &location).await {
                    Ok(true) => tracing::info!(%location, "compacted a table"),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%location, %error, "could not compact a table"),
                }
            }
        }
    });
}

async fn compact(engine: &Arc<Engine>, location: &url::Url) -> Result<bool> {
    let _reading = engine.readers.begin();
    let session = Session::open(Arc::clone(engine), USER, CATALOG, 0)?;
    let compacted = engine.lake.compact_if_wanted(location, &session.statement_state()).await?;
    Ok(compacted.is_some())
}
