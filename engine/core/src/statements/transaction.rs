//! `BEGIN`, `COMMIT`, `ROLLBACK`.

use datafusion::sql::sqlparser::ast::{Ident, TransactionAccessMode, TransactionMode};

use super::Usage;
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::session::Session;
use crate::transaction::{Transaction, TransactionStatus};

pub(super) const USAGE: Usage = Usage {
    statement: "BEGIN",
    usage: "{BEGIN | START TRANSACTION} [READ ONLY | READ WRITE] [ISOLATION LEVEL ...] | COMMIT | ROLLBACK",
};

pub(super) fn begin(session: &Session, modes: &[TransactionMode]) -> Result<Execution> {
    let read_only_default = session.setting("default_transaction_read_only").as_deref() == Some("on");
    let mut transaction = session.transaction.lock();
    if transaction.status != TransactionStatus::Idle {
        return Ok(Execution::done("BEGIN").with_notice("WARNING", "there is already a transaction in progress"));
    }
    let read_only = read_only(modes).unwrap_or(read_only_default);
    let settings = Some(session.settings.lock().clone());
    let _reading = Some(session.engine.readers.begin());
    *transaction =
        Transaction { status: TransactionStatus::InTransaction, read_only, pending: None, settings, _reading };
    Ok(Execution::done("BEGIN"))
}

pub(super) async fn commit(session: &Session) -> Result<Execution> {
    let transaction = std::mem::take(&mut *session.transaction.lock());
    match transaction.status {
        TransactionStatus::Idle => {
            Ok(Execution::done("COMMIT").with_notice("WARNING", "there is no transaction in progress"))
        }
        TransactionStatus::Failed => {
            drop_pending(session, transaction).await;
            Ok(Execution::done("ROLLBACK"))
        }
        TransactionStatus::InTransaction => {
            session.overlay.clear();
            super::temporary::end_block(session, true);
            session.settings.lock().end_local();
            if let Some(pending) = transaction.pending {
                pending.work.commit(session).await?;
            }
            Ok(Execution::done("COMMIT"))
        }
    }
}

pub(super) async fn roll_back(session: &Session, savepoint: Option<&Ident>) -> Result<Execution> {
    if savepoint.is_some() {
        return Err(Error::unsupported("ROLLBACK TO SAVEPOINT"));
    }
    let transaction = std::mem::take(&mut *session.transaction.lock());
    let idle = transaction.status == TransactionStatus::Idle;
    drop_pending(session, transaction).await;
    let done = Execution::done("ROLLBACK");
    Ok(if idle { done.with_notice("WARNING", "there is no transaction in progress") } else { done })
}

/// `SET TRANSACTION`: isolation is met at every level, since a statement reads one snapshot.
pub(super) fn set_modes(session: &Session, modes: &[TransactionMode]) -> Result<Execution> {
    if let Some(read_only) = read_only(modes) {
        let mut transaction = session.transaction.lock();
        if transaction.status == TransactionStatus::Idle {
            drop(transaction);
            let value = if read_only { "on" } else { "off" };
            session.settings.lock().set("default_transaction_read_only", value)?;
        } else {
            transaction.read_only = read_only;
        }
    }
    Ok(Execution::done("SET"))
}

/// What a closed connection does with its open transaction.
pub(crate) async fn discard(session: &Session) {
    let transaction = std::mem::take(&mut *session.transaction.lock());
    drop_pending(session, transaction).await;
}

async fn drop_pending(session: &Session, transaction: Transaction) {
    session.overlay.clear();
    super::temporary::end_block(session, false);
    if let Some(settings) = transaction.settings {
        session.settings.lock().restore(settings);
    }
    if let Some(pending) = transaction.pending {
        pending.work.roll_back(session).await;
    }
}

fn read_only(modes: &[TransactionMode]) -> Option<bool> {
    modes.iter().rev().find_map(|mode| match mode {
        TransactionMode::AccessMode(mode) => Some(*mode == TransactionAccessMode::ReadOnly),
        TransactionMode::IsolationLevel(_) => None,
    })
}
