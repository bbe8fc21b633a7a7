//! Which files are rewritten together.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::kernel::LogicalFileView;

use super::curve;
use super::optimize::Optimize;
use crate::snapshot::Snapshot;

/// A file that may be rewritten.
#[derive(Clone)]
pub(super) struct Candidate {
    pub view: LogicalFileView,
    pub bytes: u64,
    /// Without deleted ones; `None` when the log doesn't tell.
    pub rows: Option<u64>,
    pub deleted_rows: bool,
    /// The columns whose curve its rows follow, as its tag has them.
    pub curve: Option<String>,
    pub partition: Partition,
}

/// Partition columns and their values, as the log writes them.
pub(super) type Partition = BTreeMap<String, Option<String>>;

/// Files of one partition that become one file; or a few, when their rows are ordered.
pub(super) struct Group {
    pub partition: Partition,
    pub files: Vec<Candidate>,
}

impl Group {
    pub fn rows(&self) -> Option<u64> {
        self.files.iter().map(|file| file.rows).sum()
    }
}

/// The files of `chosen`, or all.
pub(super) fn candidates(snapshot: &Snapshot, chosen: Option<&BTreeSet<String>>) -> Vec<Candidate> {
    let files = snapshot.state().log_data();
    let wanted = |file: &LogicalFileView| chosen.is_none_or(|chosen| chosen.contains(file.path().as_ref()));
    files.iter().filter(wanted).map(candidate).collect()
}

#[expect(deprecated, reason = "tags are public nowhere else")]
fn candidate(view: LogicalFileView) -> Candidate {
    let deleted = view.deletion_vector_descriptor().map(|vector| u64::try_from(vector.cardinality).unwrap_or_default());
    let rows = view.num_records().and_then(|rows| (rows as u64).checked_sub(deleted.unwrap_or_default()));
    let add = view.add_action();
    Candidate {
        bytes: u64::try_from(view.size()).unwrap_or_default(),
        rows,
        deleted_rows: deleted.is_some(),
        curve: curve::tag(add.tags.as_ref()),
        partition: add.partition_values.into_iter().collect(),
        view,
    }
}

/// Groups worth rewriting. Files stay in the order in which they were written, since what arrived together is often
/// asked for together; so a bin takes neighbours, and is closed when the next doesn't fit.
pub(super) fn bins(files: Vec<Candidate>, optimize: &Optimize, target_bytes: u64) -> Vec<Group> {
    let mut partitions: BTreeMap<Partition, Vec<Candidate>> = BTreeMap::new();
    for file in files {
        partitions.entry(file.partition.clone()).or_default().push(file);
    }
    let mut groups = Vec::new();
    for (partition, mut files) in partitions {
        if !optimize.order_by.is_empty() {
            let wanted = curve::value(&optimize.order_by);
            if files.iter().any(|file| file.curve.as_ref() != Some(&wanted) || file.deleted_rows) {
                groups.push(Group { partition, files });
            }
            continue;
        }
        let small = files.iter().filter(|file| file.bytes < target_bytes / 2).count();
        if small < optimize.small_files_min {
            continue;
        }
        files.retain(|file| file.bytes < target_bytes || file.deleted_rows);
        files.sort_by_key(|file| file.view.modification_time());
        groups.extend(packed(&partition, files, target_bytes));
    }
    groups
}

fn packed(partition: &Partition, files: Vec<Candidate>, target_bytes: u64) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut held_bytes = 0u64;
    for file in files {
        let fits = held_bytes.saturating_add(file.bytes) <= target_bytes;
        match groups.last_mut().filter(|_| fits) {
            Some(group) => {
                held_bytes = held_bytes.saturating_add(file.bytes);
                group.files.push(file);
            }
            None => {
                held_bytes = file.bytes;
                groups.push(Group { partition: partition.clone(), files: vec![file] });
            }
        }
    }
    groups.retain(|group| group.files.len() > 1 || group.files.iter().any(|file| file.deleted_rows));
    groups
}
