//! What a table's history says of a change.

use deltalake::protocol::{DeltaOperation, MergePredicate, SaveMode};

use crate::snapshot::Snapshot;

/// A statement, its conditions as SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Append,
    /// The rows of a condition, or all, are replaced by others.
    Overwrite {
        predicate: Option<String>,
    },
    Delete {
        predicate: Option<String>,
    },
    Update {
        predicate: Option<String>,
    },
    Merge {
        predicate: String,
        matched: Vec<Clause>,
        not_matched: Vec<Clause>,
        not_matched_by_source: Vec<Clause>,
    },
}

/// A clause of MERGE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// `update`, `delete` or `insert`.
    pub action: String,
    pub predicate: Option<String>,
}

impl Operation {
    pub(crate) fn of_log(self, snapshot: &Snapshot) -> DeltaOperation {
        let write = |mode, predicate| {
            let columns = snapshot.partition_columns().to_vec();
            DeltaOperation::Write { mode, partition_by: (!columns.is_empty()).then_some(columns), predicate }
        };
        let clauses = |clauses: Vec<Clause>| {
            let clause = |clause: Clause| MergePredicate { action_type: clause.action, predicate: clause.predicate };
            clauses.into_iter().map(clause).collect()
        };
        match self {
            Operation::Append => write(SaveMode::Append, None),
            Operation::Overwrite { predicate } => write(SaveMode::Overwrite, predicate),
            Operation::Delete { predicate } => DeltaOperation::Delete { predicate },
            Operation::Update { predicate } => DeltaOperation::Update { predicate },
            Operation::Merge { predicate, matched, not_matched, not_matched_by_source } => DeltaOperation::Merge {
                predicate: Some(predicate.clone()),
                merge_predicate: Some(predicate),
                matched_predicates: clauses(matched),
                not_matched_predicates: clauses(not_matched),
                not_matched_by_source_predicates: clauses(not_matched_by_source),
            },
        }
    }
}
