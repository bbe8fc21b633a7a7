//! The last step of CREATE TABLE and CREATE TABLE AS: files that are complete get their name in the catalog, now or
//! at COMMIT.

use std::any::Any;
use std::collections::BTreeMap;

use async_trait::async_trait;
use datafusion::execution::SessionState;
use url::Url;

use super::target::{self, Target};
use super::temporary::name_table;
use crate::catalog::{NewTable, TableEntry, TableKind};
use crate::error::{Error, Result};
use crate::reading::discard_after_readers;
use crate::session::Session;
use crate::transaction::{DeferredWork, PendingWrite};

/// A table whose files are being made, and which nobody can name yet.
#[derive(Clone, Debug)]
pub(super) struct Unnamed {
    pub target: Target,
    pub kind: TableKind,
    pub location: Url,
    pub or_replace: bool,
}

impl Unnamed {
    /// Checks that the table may be made, and finds it a place: `asked`, or a new folder in the data directory.
    pub async fn begin(session: &Session, target: Target, asked: Option<&str>, or_replace: bool) -> Result<Unnamed> {
        {
            let transaction = session.transaction.lock();
            transaction.check_writable("CREATE TABLE")?;
            if let Some(pending) = transaction.pending.as_ref().filter(|_| !target.is_temporary()) {
                return Err(crate::transaction::two_targets(&pending.target, &target.to_string()));
            }
        }
        if !or_replace && target.exists(session) {
            return Err(target.duplicate());
        }
        if target.is_temporary() && (asked.is_some() || target.view(session).is_some()) {
            return Err(match asked {
                Some(_) => Error::unsupported("LOCATION of a temporary table"),
                None => target.duplicate(),
            });
        }
        let (kind, location) = match asked {
            Some(asked) => (TableKind::Located, target::location(asked)?),
            None => {
                let location = session.engine.catalog.reserve_table_folder(&target.schema, &target.name).await?;
                (TableKind::Managed, location)
            }
        };
        Ok(Unnamed { target, kind, location, or_replace })
    }

    /// Gives the finished table its name. Whatever fails, its files don't stay behind.
    pub async fn finish(self, session: &Session, state: &SessionState) -> Result<()> {
        if self.target.is_temporary() {
            // Nobody else sees it, so it needs no COMMIT to be seen.
            name_table(session, self.entry(session.temporary.next_oid()));
            return Ok(());
        }
        if !target::in_block(session) {
            return self.register(session).await;
        }
        let snapshot = session.engine.lake.open(&self.location).await?;
        session.overlay.put(&self.target.schema, &self.target.name, snapshot.provider(state)?);
        let write = PendingWrite { target: self.target.to_string(), work: Box::new(CreatedTable { table: self }) };
        session.transaction.lock().pending = Some(write);
        Ok(())
    }

    /// Removes what was made. A failure to remove is left to the sweep at the next start.
    pub async fn abandon(&self, session: &Session) {
        if self.kind == TableKind::Managed
            && let Err(error) = session.engine.catalog.discard_folder(&session.engine.lake, &self.location).await
        {
            tracing::warn!(%error, location = %self.location, "an unfinished table's folder stays until the next start");
        }
    }

    fn entry(&self, oid: u32) -> TableEntry {
        TableEntry {
            oid,
            schema: self.target.schema.clone(),
            name: self.target.name.clone(),
            kind: self.kind,
            location: self.location.clone(),
            options: BTreeMap::new(),
            columns: None,
        }
    }

    async fn register(&self, session: &Session) -> Result<()> {
        let engine = &session.engine;
        let table = NewTable {
            schema: self.target.schema.clone(),
            name: self.target.name.clone(),
            kind: self.kind,
            location: self.location.clone(),
            options: BTreeMap::new(),
            columns: None,
            or_replace: self.or_replace,
        };
        match engine.catalog.put_table(table).await {
            Ok(registered) => {
                if let Some(replaced) = registered.replaced {
                    discard_after_readers(engine, replaced);
                }
                Ok(())
            }
            Err(error) => {
                self.abandon(session).await;
                Err(error)
            }
        }
    }
}

/// A table made in an open transaction block.
#[derive(Debug)]
pub(super) struct CreatedTable {
    pub table: Unnamed,
}

#[async_trait]
impl DeferredWork for CreatedTable {
    async fn commit(self: Box<Self>, session: &Session) -> Result<()> {
        self.table.register(session).await
    }

    async fn roll_back(self: Box<Self>, session: &Session) {
        self.table.abandon(session).await;
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
