//! A statement that changes rows: one plan that gives each row and what becomes of it, written and committed as one
//! entry. Files are replaced whole; rows that stay are carried on as they are, others keep the table's rules.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::object_store::ObjectStoreExt;
use datafusion::object_store::prefix::PrefixStore;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::PROTOCOL;
use deltalake::kernel::{Action, Add, AddCDCFile, MetadataExt, StructType};
use deltalake::logstore::ObjectStoreRef;
use serde_json::json;

pub use self::operation::{Clause, Operation};
pub use self::positions::{FILE, ROW};
pub use self::staged::Staged;

use self::intake::{CHANGE_TYPE, ChangeIntake};
use crate::commit::{Entry, Reads};
use crate::error::{Error, Result};
use crate::kept::Kept;
use crate::lake::Lake;
use crate::layout;
use crate::rules::{Demands, Rules};
use crate::snapshot::Snapshot;
use crate::types::storable_schema;
use crate::writer::{self, Files, Limits, Output};

mod intake;
mod operation;
mod positions;
mod staged;

/// The column of a plan that says what becomes of its row, an `Int8`: 0 it stays as it is, 1 it is the new state of a
/// row, 2 it goes (and is as it was), 3 it is new. No NULL.
pub const ACTION: &str = "__alluvia_action";
/// The [`ACTION`] of a new row.
pub(crate) const INSERTED: i8 = 3;
/// What the columns of a row are called as it was before an update: wanted when [`Snapshot::keeps_changes`].
pub const BEFORE_PREFIX: &str = "__alluvia_before_";
/// Where the files of the change data feed lie.
const CHANGE_FOLDER: &str = "_change_data";
/// They lie in folders of random names this long.
const CHANGE_PREFIX_CHARACTERS: usize = 2;

/// What is to become of a table's rows.
#[derive(Debug)]
pub struct Change {
    /// Gives the table's columns by name, [`ACTION`], and, where changes are kept, the columns with
    /// [`BEFORE_PREFIX`]. Of rows that stay it gives every column; of new states and new rows generated columns are
    /// computed, whatever it gives, and other columns that it leaves out are NULL.
    pub plan: LogicalPlan,
    /// Files whose rows the plan carries on, by the paths of [`crate::FileInfo`].
    pub replaced: BTreeSet<String>,
    /// Files that go as a whole; none of their rows is in the plan. Where changes are kept, none may go so beside a
    /// plan that updates or deletes rows.
    pub removed: BTreeSet<String>,
    /// The rows in `removed`.
    pub removed_rows: u64,
    /// Whether what is written depends on the table's rows: false makes it a blind append where no file goes.
    pub reads_table: bool,
    pub operation: Operation,
    /// Columns that the table gets by the same entry, nullable, after its own.
    pub added_columns: Vec<Field>,
    /// Whether the affected rows are wanted back.
    pub returning: bool,
}

impl Change {
    pub fn new(plan: LogicalPlan, operation: Operation) -> Change {
        Change {
            plan,
            replaced: BTreeSet::new(),
            removed: BTreeSet::new(),
            removed_rows: 0,
            reads_table: true,
            operation,
            added_columns: Vec::new(),
            returning: false,
        }
    }
}

/// What has become of them.
#[derive(Debug)]
pub struct Changed {
    /// The version that holds the change; the one that was read, when there was none.
    pub version: u64,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub files_added: usize,
    pub files_removed: usize,
    /// The affected rows, if they were wanted: as they are now, deleted ones as they were.
    pub returned: Option<Kept>,
}

impl Lake {
    /// Changes rows of the table, in one commit or not at all. A change of no row makes no commit.
    ///
    /// # Errors
    /// Those of [`Lake::append`]; [`Error::AppendOnly`].
    pub async fn change(&self, snapshot: &Snapshot, change: Change, session: &SessionState) -> Result<Changed> {
        let changed = self.stage(snapshot, change, session).await?.commit().await?;
        self.committed(snapshot);
        Ok(changed)
    }

    /// Writes the files of a change, and leaves the commit to the caller.
    ///
    /// # Errors
    /// Those of [`Lake::change`], but for conflicts.
    pub async fn stage(&self, snapshot: &Snapshot, change: Change, session: &SessionState) -> Result<Staged> {
        PROTOCOL.can_write_to(snapshot.state()).map_err(deltalake::DeltaTableError::from)?;
        let removes = !(change.replaced.is_empty() && change.removed.is_empty());
        if removes && snapshot.is_append_only() {
            return Err(Error::AppendOnly);
        }
        if !change.removed.is_empty() && snapshot.tells_all_changes() {
            let name = "replacing whole files of a table with a change data feed in a transaction block".to_owned();
            return Err(Error::UnsupportedFeature { name });
        }
        let removals = removals(snapshot, &change)?;
        let schema = extended(snapshot, &change.added_columns)?;
        let mut files = write(snapshot, &change, &schema, session).await?;
        let counts = files.counts;
        let (inserted, updated, deleted) = (counts.inserted, counts.updated, counts.deleted + change.removed_rows);
        let returned = files.affected.take();
        let mut staged = Staged::nothing(snapshot, returned);
        staged.written = paths(&files);
        if inserted + updated + deleted == 0 && change.removed.is_empty() {
            staged.discard().await;
            return Ok(staged);
        }
        let tells = counts.updated + counts.deleted > 0;
        if tells && snapshot.keeps_changes() && !change.removed.is_empty() {
            staged.discard().await;
            return Err(Error::Internal {
                message: "changes of rows beside whole files in a change data feed".to_owned(),
            });
        }
        if !tells && !snapshot.tells_all_changes() {
            // Without them the added and removed files tell the changes.
            let changes = std::mem::take(&mut files.changes).into_iter().map(changed_path).collect();
            discard(&snapshot.log_store().object_store(None), changes).await;
            staged.written = paths(&files);
        }
        let (files_added, files_removed) = (files.adds.len(), removals.len());
        let metrics = json!({
            "numAddedFiles": files_added,
            "numRemovedFiles": files_removed,
            "numInsertedRows": inserted,
            "numUpdatedRows": updated,
            "numDeletedRows": deleted,
            "numCopiedRows": files.rows - inserted - updated,
            "numAddedChangeFiles": files.changes.len(),
        });
        let mut actions = definition(snapshot, &schema, &change.added_columns)?;
        actions.extend(removals);
        actions.extend(files.adds.into_iter().map(Action::Add));
        actions.extend(files.changes.into_iter().map(change_file));
        let reads = if change.reads_table || removes { Reads::Table } else { Reads::Nothing };
        staged.entry = Some(Entry { actions, operation: change.operation.of_log(snapshot), metrics, reads });
        staged.changed = Changed { inserted, updated, deleted, files_added, files_removed, ..staged.changed };
        Ok(staged)
    }
}

/// The entries by which files go.
fn removals(snapshot: &Snapshot, change: &Change) -> Result<Vec<Action>> {
    let wanted: BTreeSet<&str> = change.replaced.iter().chain(&change.removed).map(String::as_str).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let files = snapshot.state().try_log_data()?;
    let gone: Vec<Action> = files
        .iter()
        .filter(|file| wanted.contains(file.path().as_ref()))
        .map(|file| Action::Remove(file.remove_action(true)))
        .collect();
    if gone.len() != wanted.len() {
        return Err(Error::Internal { message: "a file to be replaced isn't the table's".to_owned() });
    }
    Ok(gone)
}

/// The table's schema with the columns that it gets.
fn extended(snapshot: &Snapshot, added: &[Field]) -> Result<SchemaRef> {
    if added.is_empty() {
        return Ok(snapshot.schema());
    }
    if snapshot.demands().mapped.is_some() {
        return Err(Error::UnsupportedFeature { name: "adding columns to a table with column mapping".to_owned() });
    }
    let schema = snapshot.schema();
    let added = storable_schema(&Schema::new(added.to_vec()))?;
    let zoneless = |field: &Arc<Field>| matches!(field.data_type(), DataType::Timestamp(_, None));
    if added.fields().iter().any(zoneless) && !schema.fields().iter().any(zoneless) {
        let name = "adding a first column of type timestamp without time zone".to_owned();
        return Err(Error::UnsupportedFeature { name });
    }
    let mut fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    for field in added.fields() {
        if fields.iter().any(|known| known.name().to_lowercase() == field.name().to_lowercase()) {
            let message = format!("column \"{}\" appears more than once, compared without case", field.name());
            return Err(Error::InvalidDefinition { message });
        }
        fields.push(field.as_ref().clone().with_nullable(true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The entry that adds columns, with everything that the log says of the others.
fn definition(snapshot: &Snapshot, schema: &SchemaRef, added: &[Field]) -> Result<Vec<Action>> {
    if added.is_empty() {
        return Ok(Vec::new());
    }
    let internal = |message: String| Error::Internal { message };
    let known = snapshot.state().schema();
    let new = Schema::new(schema.fields().iter().skip(known.fields().len()).cloned().collect::<Vec<_>>());
    let new: StructType = (&new).try_into_kernel().map_err(|error| internal(error.to_string()))?;
    let fields = known.fields().cloned().chain(new.fields().cloned());
    let schema = StructType::try_new(fields).map_err(|error| internal(error.to_string()))?;
    let metadata = snapshot.state().metadata().clone().with_schema(&schema);
    Ok(vec![Action::Metadata(metadata.map_err(|error| internal(error.to_string()))?)])
}

async fn write(snapshot: &Snapshot, change: &Change, schema: &SchemaRef, session: &SessionState) -> Result<Files> {
    if matches!(&change.plan, LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row) {
        return Ok(Files::none());
    }
    let keeps_changes = snapshot.keeps_changes();
    if keeps_changes && snapshot.demands().mapped.is_some() {
        return Err(Error::UnsupportedFeature {
            name: "the change data feed of a table with column mapping".to_owned(),
        });
    }
    let demands = Demands { schema, ..snapshot.demands() };
    let plan = session.create_physical_plan(&change.plan).await?;
    let carries = !change.replaced.is_empty();
    let intake = ChangeIntake::new(&demands, &plan.schema(), carries, keeps_changes, change.returning, session)?;
    let property = |key: &str| snapshot.properties().get(key).map(String::as_str);
    let partitioned = !demands.partition_columns.is_empty();
    let store = snapshot.log_store().object_store(None);
    let config = layout::writer_config(intake.written_schema(), &demands, property)?;
    let changes = match keeps_changes {
        true => {
            let mut fields: Vec<Arc<Field>> = intake.written_schema().fields().iter().cloned().collect();
            fields.push(Arc::new(Field::new(CHANGE_TYPE, DataType::Utf8, true)));
            // Partition values in paths would be encoded twice by a widespread reader of change files.
            let config = layout::writer_config(&Arc::new(Schema::new(fields)), &demands, property)?
                .with_random_prefix_length(Some(CHANGE_PREFIX_CHARACTERS));
            let store: ObjectStoreRef = Arc::new(PrefixStore::new(store.clone(), CHANGE_FOLDER));
            Some(Output { store, config, partitioned })
        }
        false => None,
    };
    let affected = change.returning.then(|| intake.rows_schema().clone());
    let data = Output { store, config, partitioned };
    writer::write(plan, session, Arc::new(intake), data, changes, affected, Limits::default()).await
}

/// Runs `plan`, whose rows are all new, and writes them. `affected`: whether they are wanted back.
pub(crate) async fn write_new<'a>(
    plan: LogicalPlan,
    session: &SessionState,
    demands: &Demands<'_>,
    store: ObjectStoreRef,
    property: impl Fn(&str) -> Option<&'a str>,
    affected: bool,
) -> Result<Files> {
    let plan = session.create_physical_plan(&plan).await?;
    let rules = Rules::compile(demands, &plan.schema(), session)?.with_affected(affected);
    let config = layout::writer_config(rules.written_schema(), demands, property)?;
    let partitioned = !demands.partition_columns.is_empty();
    let affected = affected.then(|| rules.unchecked_schema().clone());
    let data = Output { store, config, partitioned };
    writer::write(plan, session, Arc::new(rules), data, None, affected, Limits::default()).await
}

fn change_file(file: Add) -> Action {
    let (size, partition_values) = (file.size, file.partition_values.clone());
    let path = changed_path(file);
    Action::Cdc(AddCDCFile { path, size, partition_values, data_change: false, tags: None })
}

fn changed_path(file: Add) -> String {
    format!("{CHANGE_FOLDER}/{}", file.path)
}

/// The paths of all files of a statement.
pub(crate) fn paths(files: &Files) -> Vec<String> {
    let changes = files.changes.iter().cloned().map(changed_path);
    files.adds.iter().map(|add| add.path.clone()).chain(changes).collect()
}

/// Deletes files that no commit will name. What can't be deleted is an orphan, and harmless.
pub(crate) async fn discard(store: &ObjectStoreRef, paths: Vec<String>) {
    for path in paths {
        match deltalake::Path::parse(&path) {
            Ok(path) => {
                if let Err(error) = store.delete(&path).await {
                    tracing::warn!(%path, %error, "could not delete an orphan file");
                }
            }
            Err(error) => tracing::warn!(%path, %error, "could not delete an orphan file"),
        }
    }
}
