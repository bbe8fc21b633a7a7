//! Statements under way, so that files which a statement may still read outlive their table.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::catalog::TableEntry;
use crate::engine::Engine;

/// How often a removal looks whether it may begin.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Held by a statement as long as it may open or read files.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    _epoch: Arc<()>,
    _running: Arc<Running>,
}

/// Statements by when they began: each removal starts a new epoch, and waits for the earlier ones to end.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    epochs: Mutex<Epochs>,
    running: Arc<Mutex<Started>>,
}

/// When each statement under way began, in the order in which they did.
#[derive(Debug, Default)]
struct Started {
    times: BTreeMap<u64, SystemTime>,
    last: u64,
}

/// One of them; it is over when this is dropped.
#[derive(Debug)]
struct Running {
    number: u64,
    all: Arc<Mutex<Started>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.lock().times.remove(&self.number);
    }
}

#[derive(Debug, Default)]
struct Epochs {
    current: Arc<()>,
    earlier: Vec<Weak<()>>,
}

impl Readers {
    pub fn begin(&self) -> Reading {
        let number = {
            let mut started = self.running.lock();
            started.last += 1;
            let number = started.last;
            started.times.insert(number, SystemTime::now());
            number
        };
        let running = Running { number, all: Arc::clone(&self.running) };
        Reading { _epoch: Arc::clone(&self.epochs.lock().current), _running: Arc::new(running) }
    }

    /// When the oldest statement under way began: whatever was part of a table then may still be read, and whatever
    /// was written since may still be committed. Now, when there is none.
    pub fn oldest(&self) -> SystemTime {
        let started = self.running.lock();
        started.times.values().min().copied().unwrap_or_else(SystemTime::now)
    }

    /// Ready when every statement that has begun by now is over.
    async fn quiet(&self) {
        let waited = {
            let mut epochs = self.epochs.lock();
            let ended = std::mem::take(&mut epochs.current);
            epochs.earlier.retain(|epoch| epoch.strong_count() > 0);
            epochs.earlier.push(Arc::downgrade(&ended));
            epochs.earlier.clone()
        };
        while waited.iter().any(|epoch| epoch.strong_count() > 0) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Removes the files of a table that has just lost its name, once no statement reads them any more. Should the process
/// end before, the next start removes them.
pub(crate) fn discard_after_readers(engine: &Arc<Engine>, table: TableEntry) {
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        engine.readers.quiet().await;
        if let Err(error) = engine.catalog.discard(&engine.lake, &table).await {
            tracing::warn!(%error, location = %table.location, "a dropped table's files stay until the next start");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_removal_waits_for_statements_that_began_before_it() {
        let readers = Arc::new(Readers::default());
        let before = readers.begin();
        let removal = tokio::spawn({
            let readers = Arc::clone(&readers);
            async move { readers.quiet().await }
        });
        tokio::time::sleep(LOOK_EVERY * 3).await;
        assert!(!removal.is_finished());
        let after = readers.begin();
        drop(before);
        removal.await.unwrap();
        drop(after);
    }
}
