//! Changes of a table's definition: columns, constraints, properties and comments, each statement one commit of its own.
//!
//! A row that comes in between may break a constraint that was checked without it, and another definition may be the
//! better one: both are conflicts.

mod apply;
mod existing;
mod protocol;

use std::collections::BTreeMap;

use arrow::datatypes::Field;
use datafusion::execution::SessionState;
use deltalake::kernel::StructField;
use deltalake::kernel::transaction::PROTOCOL;
use deltalake::operations::update_table_metadata::TableMetadataUpdate;
use deltalake::protocol::DeltaOperation;
use serde_json::json;

use crate::commit::{self, Entry, Reads};
use crate::definition::Check;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::snapshot::Snapshot;
use apply::Draft;
pub(crate) use protocol::holds_timestamp_without_zone;

/// One change; a statement may make several at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Alteration {
    /// A column at the end, NULL in every row there is.
    AddColumn {
        field: Field,
        comment: Option<String>,
        if_not_exists: bool,
    },
    /// Of tables with column mapping only: the files keep the names they have.
    RenameColumn {
        from: String,
        to: String,
    },
    DropColumn {
        name: String,
        if_exists: bool,
    },
    AddCheck(Check),
    DropCheck {
        name: String,
        if_exists: bool,
    },
    SetNullable {
        column: String,
        nullable: bool,
    },
    SetProperties(BTreeMap<String, String>),
    UnsetProperties {
        keys: Vec<String>,
        if_exists: bool,
    },
    CommentTable(Option<String>),
    CommentColumn {
        column: String,
        comment: Option<String>,
    },
}

/// What a statement has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Altered {
    /// The version with the change; the one that was read, when nothing was to change.
    pub version: u64,
    /// What was there, or wasn't, and was passed over as the statement said.
    pub skipped: Vec<String>,
}

impl Lake {
    /// Makes `alterations` in one commit. Rows that are there are checked against new constraints first.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the table has changed since `snapshot`; [`Error::CheckViolation`] and
    /// [`Error::NotNullViolation`] with a row that breaks a new constraint; [`Error::InvalidDefinition`],
    /// [`Error::UndefinedColumn`], [`Error::UndefinedConstraint`], [`Error::DuplicateColumn`].
    pub async fn alter(
        &self,
        snapshot: &Snapshot,
        alterations: &[Alteration],
        session: &SessionState,
    ) -> Result<Altered> {
        PROTOCOL.can_write_to(snapshot.state()).map_err(deltalake::DeltaTableError::from)?;
        let mut draft = Draft::of(snapshot)?;
        for alteration in alterations {
            draft.apply(alteration)?;
        }
        let (version, skipped) = (snapshot.version(), std::mem::take(&mut draft.skipped));
        if !draft.changed() {
            return Ok(Altered { version, skipped });
        }
        existing::check_rows(snapshot, &draft, session).await?;
        // Rows may come in between that were written without a promise of theirs.
        let promises = !(draft.new_checks.is_empty() && draft.new_promises.is_empty());
        let reads = if promises { Reads::Table } else { Reads::Removed };
        let operation = operation(alterations, &draft);
        let entry = Entry { actions: draft.actions(snapshot)?, operation, metrics: json!({}), reads };
        let version = commit::commit(snapshot, entry).await?;
        Ok(Altered { version, skipped })
    }
}

/// The statement in the words of the table's history: those of its first change.
fn operation(alterations: &[Alteration], draft: &Draft) -> DeltaOperation {
    let properties = |pairs: &BTreeMap<String, String>| DeltaOperation::SetTableProperties {
        properties: pairs.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
    };
    let fields = |wanted: &dyn Fn(&Alteration) -> Option<&str>| {
        alterations.iter().filter_map(wanted).filter_map(|name| draft.column(name)).collect::<Vec<StructField>>()
    };
    match alterations.first() {
        Some(Alteration::AddColumn { .. }) => DeltaOperation::AddColumn {
            fields: fields(&|alteration| match alteration {
                Alteration::AddColumn { field, .. } => Some(field.name()),
                _ => None,
            }),
        },
        Some(Alteration::AddCheck(check)) => DeltaOperation::AddConstraint {
            constraints: vec![deltalake::table::Constraint::new(&check.name, &check.expression_sql)],
        },
        Some(Alteration::DropCheck { name, .. }) => DeltaOperation::DropConstraint { name: name.clone() },
        Some(Alteration::SetProperties(pairs)) => properties(pairs),
        Some(Alteration::UnsetProperties { .. }) => properties(&BTreeMap::new()),
        Some(Alteration::CommentTable(comment)) => {
            let metadata_update = TableMetadataUpdate { name: None, description: comment.clone() };
            DeltaOperation::UpdateTableMetadata { metadata_update }
        }
        _ => DeltaOperation::UpdateFieldMetadata {
            fields: fields(&|alteration| match alteration {
                Alteration::SetNullable { column, .. } | Alteration::CommentColumn { column, .. } => Some(column),
                Alteration::RenameColumn { to, .. } => Some(to),
                _ => None,
            }),
        },
    }
}

fn internal(what: impl std::fmt::Display) -> Error {
    Error::Internal { message: format!("could not write the metadata of a table: {what}") }
}
