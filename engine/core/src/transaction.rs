//! `BEGIN`, `COMMIT`, `ROLLBACK`, and the aborted state.
//!
//! Delta commits one table at a time, so a transaction block may read whatever it likes and write to one table only.
//! Its writes are kept aside (see `statements::insert`) and reach the table in one commit, at COMMIT.

use crate::error::{Error, Kind, Result};

/// What ReadyForQuery tells the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransactionStatus {
    #[default]
    Idle,
    InTransaction,
    Failed,
}

/// The one thing that a transaction block writes, done at COMMIT.
#[derive(Debug)]
pub(crate) struct PendingWrite {
    /// `schema.table`, or what else is written.
    pub target: String,
    pub work: Box<dyn DeferredWork>,
}

/// Work put off until COMMIT. Dropping it undone is ROLLBACK: nothing of it was visible to anyone else.
#[async_trait::async_trait]
pub(crate) trait DeferredWork: std::fmt::Debug + Send + Sync {
    async fn commit(self: Box<Self>, session: &crate::session::Session) -> Result<()>;
    /// Removes what was kept aside.
    async fn roll_back(self: Box<Self>, session: &crate::session::Session);
    fn as_any(&self) -> &dyn std::any::Any;
}

#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub status: TransactionStatus,
    pub read_only: bool,
    pub pending: Option<PendingWrite>,
    /// The session's settings as they were at BEGIN, to which ROLLBACK returns.
    pub settings: Option<crate::settings::Settings>,
    /// Files of the version that the block began with, and those that it has written, stay as long as it is open.
    pub _reading: Option<crate::reading::Reading>,
}

impl Transaction {
    /// Whether a statement may run now: in an aborted block only COMMIT and ROLLBACK do.
    pub fn check_alive(&self) -> Result<()> {
        match self.status {
            TransactionStatus::Failed => Err(Error::new(
                Kind::InFailedTransaction,
                "current transaction is aborted, commands ignored until end of transaction block",
            )),
            _ => Ok(()),
        }
    }

    pub fn check_writable(&self, tag: &str) -> Result<()> {
        if self.read_only && self.status != TransactionStatus::Idle {
            return Err(Error::new(
                Kind::ReadOnlyTransaction,
                format!("cannot execute {tag} in a read-only transaction"),
            ));
        }
        Ok(())
    }

    /// Refuses a second target.
    pub fn check_target(&self, target: &str) -> Result<()> {
        match &self.pending {
            Some(pending) if pending.target != target => Err(two_targets(&pending.target, target)),
            _ => Ok(()),
        }
    }
}

pub(crate) fn two_targets(first: &str, second: &str) -> Error {
    Error::unsupported("a transaction that writes more than one table")
        .with_detail(format!(
            "This transaction has written {first} and now would write {second}; they can't be committed as one."
        ))
        .with_hint("COMMIT between the two, or run them outside a transaction block.")
}
