//! The change data feed of a table (`delta.enableChangeDataFeed`), read by the Delta library.
//!
//! The library looks at the property only where a commit changes it, and takes the rewriting of a file for deletions and
//! insertions of all its rows where the feed was off. So the range is checked here.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident};
use deltalake::DeltaTable;
use deltalake::delta_datafusion::DeltaCdfTableProvider;
use deltalake::kernel::Action;
use deltalake::logstore::get_actions;
use url::Url;

use super::{CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION};
use crate::error::{Error, Result};
use crate::history::At;
use crate::lake::Lake;
use crate::snapshot::Snapshot;

const ENABLED: &str = "delta.enableChangeDataFeed";

impl Lake {
    /// The changes of rows that the versions from `from` to `to` made, both included.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]; [`Error::ChangesNotKept`] where the table kept no changes in between.
    pub async fn changes(
        &self,
        location: &Url,
        from: At,
        to: At,
        session: &SessionState,
    ) -> Result<Arc<dyn TableProvider>> {
        let newest = self.open(location).await?;
        if newest.is_mapped() {
            return Err(Error::Unsupported { what: "the change data feed of a table with column mapping".to_owned() });
        }
        let last = match to {
            At::Newest => newest.clone(),
            to => self.open_at(location, to).await?,
        };
        let first = match from {
            At::Timestamp(from) => {
                let commits = self.commits(location).await?;
                let first = commits.iter().find(|commit| commit.committed_us >= from);
                first.map(|commit| commit.version).ok_or_else(|| after_all(&newest))?
            }
            At::Version(version) => version,
            At::Newest => newest.version(),
        };
        if first > last.version() {
            return Err(Error::NoSuchVersion {
                message: format!("changes can't be read from version {first} to version {}", last.version()),
                detail: format!("The newest version is {}.", newest.version()),
            });
        }
        check_kept(&self.open_at(location, At::Version(first)).await?, last.version()).await?;
        provider(&last, first, session).await
    }
}

fn after_all(newest: &Snapshot) -> Error {
    Error::NoSuchVersion {
        message: "no version was committed at that time or later".to_owned(),
        detail: format!("The newest version is {}.", newest.version()),
    }
}

/// The feed must be on at the first version, and stay on.
async fn check_kept(first: &Snapshot, last: u64) -> Result<()> {
    let on = |value: Option<&String>| value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !on(first.properties().get(ENABLED)) {
        return Err(Error::ChangesNotKept { version: first.version() });
    }
    let log_store = first.log_store();
    for version in first.version() + 1..=last {
        let missing = || Error::NoSuchVersion {
            message: format!("the log of version {version} is gone"),
            detail: "Changes are read from the log of each version.".to_owned(),
        };
        let entry = log_store.read_commit_entry(version).await?.ok_or_else(missing)?;
        for action in get_actions(version, &entry)? {
            if let Action::Metadata(metadata) = action
                && !on(metadata.configuration().get(ENABLED))
            {
                return Err(Error::ChangesNotKept { version });
            }
        }
    }
    Ok(())
}

async fn provider(last: &Snapshot, first: u64, session: &SessionState) -> Result<Arc<dyn TableProvider>> {
    let mut table = DeltaTable::new(last.log_store().clone());
    table.update_datafusion_session(session)?;
    table.load_version(last.version()).await?;
    let feed = table.scan_cdf().with_starting_version(first).with_ending_version(last.version());
    let feed = DeltaCdfTableProvider::try_new(feed)?;
    let columns = last.schema();
    let mut shown: Vec<Expr> = columns
        .fields()
        .iter()
        .map(|field| cast(ident(field.name()), field.data_type().clone()).alias(field.name()))
        .collect();
    shown.push(ident(CHANGE_TYPE));
    shown.push(cast(ident(COMMIT_VERSION), DataType::Int64).alias(COMMIT_VERSION));
    // Milliseconds of UTC, which the library gives without their zone.
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    shown.push(cast(ident(COMMIT_TIMESTAMP), utc).alias(COMMIT_TIMESTAMP));
    let scan = LogicalPlanBuilder::scan("table_changes", provider_as_source(Arc::new(feed)), None)?;
    Ok(Arc::new(ViewTable::new(scan.project(shown)?.build()?, None)))
}
