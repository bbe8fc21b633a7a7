//! Which versions of a table there are, and when they came about.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::kernel::Action;
use deltalake::logstore::{LogStoreRef, get_actions};
use futures::{StreamExt, TryStreamExt, stream};

use crate::error::{Error, Result};

/// Log entries read at once.
const READS_MAX: usize = 16;
const VERSION_DIGITS: usize = 20;
const IN_COMMIT_TIMESTAMPS: &str = "delta.enableInCommitTimestamps";
const IN_COMMIT_TIMESTAMPS_SINCE: &str = "delta.inCommitTimestampEnablementVersion";

/// Which version of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum At {
    #[default]
    Newest,
    Version(u64),
    /// The newest that had been committed by then; microseconds since 1970 (UTC).
    Timestamp(i64),
}

/// When a version was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    pub version: u64,
    /// Microseconds since 1970 (UTC), increasing with the versions: what the entry says where the table has in-commit
    /// timestamps, else when its file was written.
    pub committed_us: i64,
}

/// The entries and checkpoints of a log, as its folder lists them.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// By version.
    pub commits: Vec<Commit>,
    /// Versions with a checkpoint; one in several parts counts when it has begun.
    checkpoints: BTreeSet<u64>,
}

impl Listing {
    pub async fn read(log_store: &LogStoreRef) -> Result<Listing> {
        let store = log_store.object_store(None);
        let mut entries = store.list(Some(log_store.log_path()));
        let mut listing = Listing::default();
        while let Some(entry) = entries.try_next().await.map_err(deltalake::DeltaTableError::from)? {
            if entry.location.parts().count() != log_store.log_path().parts().count() + 1 {
                continue;
            }
            let Some((version, kind)) = entry.location.filename().and_then(parsed) else { continue };
            if kind == "json" {
                listing.commits.push(Commit { version, committed_us: entry.last_modified.timestamp_micros() });
            } else if kind.starts_with("checkpoint.") {
                listing.checkpoints.insert(version);
            }
        }
        listing.commits.sort_by_key(|commit| commit.version);
        // Clocks go back, and files are copied in any order.
        let mut last = i64::MIN;
        for commit in &mut listing.commits {
            commit.committed_us = commit.committed_us.max(last.saturating_add(1));
            last = commit.committed_us;
        }
        Ok(listing)
    }

    /// The oldest version that can be read, and the newest.
    pub fn range(&self) -> Option<(u64, u64)> {
        let newest = self.commits.last().map(|commit| commit.version).or(self.checkpoints.last().copied())?;
        match self.commits.first() {
            Some(first) if first.version == 0 => Some((0, newest)),
            _ => self.checkpoints.first().map(|oldest| (*oldest, newest)),
        }
    }

    /// Replaces the files' times by those that the entries name, from the version on that the table's properties say.
    pub async fn read_times(&mut self, log_store: &LogStoreRef, properties: &BTreeMap<String, String>) -> Result<()> {
        if properties.get(IN_COMMIT_TIMESTAMPS).map(String::as_str) != Some("true") {
            return Ok(());
        }
        let since = properties.get(IN_COMMIT_TIMESTAMPS_SINCE).and_then(|version| version.parse().ok()).unwrap_or(0);
        let versions: Vec<u64> = self.commits.iter().map(|commit| commit.version).filter(|at| *at >= since).collect();
        let reads = stream::iter(versions.into_iter().map(|version| time_in(log_store.clone(), version)));
        let mut times = BTreeMap::new();
        let mut reads = reads.buffered(READS_MAX);
        while let Some((version, time)) = reads.try_next().await? {
            times.insert(version, time);
        }
        for commit in &mut self.commits {
            if let Some(Some(committed_us)) = times.get(&commit.version) {
                commit.committed_us = *committed_us;
            }
        }
        Ok(())
    }

    /// The version that was the newest at a time.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] when the oldest one that can be read is younger.
    pub fn at(&self, timestamp_us: i64) -> Result<u64> {
        let oldest = self.range().map(|(oldest, _)| oldest);
        let readable = self.commits.iter().filter(|commit| Some(commit.version) >= oldest);
        let found = readable.clone().take_while(|commit| commit.committed_us <= timestamp_us).last();
        found.map(|commit| commit.version).ok_or_else(|| Error::NoSuchVersion {
            message: "the table has no version of that time".into(),
            detail: match readable.clone().next() {
                Some(oldest) => {
                    format!("The oldest version, {}, is of {}.", oldest.version, written(oldest.committed_us))
                }
                None => "No version can be read.".into(),
            },
        })
    }

    /// Why a version can't be read.
    pub fn refusal(&self, version: u64) -> Error {
        let detail = match self.range() {
            Some((oldest, newest)) if oldest == newest => format!("Version {oldest} is the only one."),
            Some((oldest, newest)) => format!("Versions {oldest} to {newest} can be read."),
            None => "No version can be read.".into(),
        };
        Error::NoSuchVersion { message: format!("version {version} of the table does not exist"), detail }
    }
}

/// The version and the rest of the name of a log file.
fn parsed(name: &str) -> Option<(u64, &str)> {
    let (version, kind) = name.split_once('.')?;
    let digits = version.len() == VERSION_DIGITS && version.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| version.parse().ok()).flatten().map(|version| (version, kind))
}

async fn time_in(log_store: LogStoreRef, version: u64) -> Result<(u64, Option<i64>)> {
    let Some(entry) = log_store.read_commit_entry(version).await? else { return Ok((version, None)) };
    let milliseconds = get_actions(version, &entry)?.into_iter().find_map(|action| match action {
        Action::CommitInfo(info) => info.in_commit_timestamp,
        _ => None,
    });
    Ok((version, milliseconds.and_then(|milliseconds| milliseconds.checked_mul(1000))))
}

/// A time as PostgreSQL writes it, in UTC.
fn written(timestamp_us: i64) -> String {
    match arrow::array::temporal_conversions::timestamp_us_to_datetime(timestamp_us) {
        Some(time) => format!("{}+00", time.format("%Y-%m-%d %H:%M:%S%.6f")),
        None => format!("{timestamp_us} microseconds"),
    }
}
