//! A change whose files are written, and which nobody sees before it is committed.

use crate::change::{Changed, discard};
use crate::commit::{self, Entry};
use crate::error::{Error, Result};
use crate::kept::Kept;
use crate::snapshot::Snapshot;

/// To be committed or discarded; dropped, its files stay as orphans.
pub struct Staged {
    pub(crate) snapshot: Snapshot,
    /// `None` when there is nothing to commit.
    pub(crate) entry: Option<Entry>,
    /// The paths of all files.
    pub(crate) written: Vec<String>,
    /// As it will be; the version is the one that was read.
    pub(crate) changed: Changed,
}

impl Staged {
    pub(crate) fn nothing(snapshot: &Snapshot, returned: Option<Kept>) -> Staged {
        let version = snapshot.version();
        let (inserted, updated, deleted, files_added, files_removed) = (0, 0, 0, 0, 0);
        let changed = Changed { version, inserted, updated, deleted, files_added, files_removed, returned };
        Staged { snapshot: snapshot.clone(), entry: None, written: Vec::new(), changed }
    }

    /// The affected rows, if they were wanted.
    pub fn returned(&self) -> Option<&Kept> {
        self.changed.returned.as_ref()
    }

    /// Makes the change a version of the table.
    ///
    /// # Errors
    /// [`Error::Conflict`], after which none of its files is left.
    pub async fn commit(mut self) -> Result<Changed> {
        let Some(entry) = self.entry.take() else { return Ok(self.changed) };
        match commit::commit(&self.snapshot, entry).await {
            Ok(version) => Ok(Changed { version, ..self.changed }),
            Err(error) => {
                // After any other error the entry may have landed all the same.
                if matches!(error, Error::Conflict { .. }) {
                    self.discard().await;
                }
                Err(error)
            }
        }
    }

    /// Gives the change up.
    pub async fn discard(&mut self) {
        self.entry = None;
        discard(&self.snapshot.log_store().object_store(None), std::mem::take(&mut self.written)).await;
    }
}
