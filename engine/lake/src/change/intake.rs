//! A plan's rows, told apart by what becomes of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int8Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Int8Type, Schema, SchemaRef};
use datafusion::execution::SessionState;

use super::{ACTION, BEFORE_PREFIX};
use crate::error::{Error, Result};
use crate::rules::{Demands, Rules};
use crate::writer::{Counts, Intake, Taken};

/// The column of the change data feed that says what happened to a row.
pub(super) const CHANGE_TYPE: &str = "_change_type";

const KEEP: i8 = 0;
const UPDATE: i8 = 1;
const DELETE: i8 = 2;
const INSERT: i8 = 3;

/// Columns of the plan, and the rules that rows of them go through.
struct Side {
    columns: Vec<usize>,
    rules: Rules,
    schema: SchemaRef,
}

impl Side {
    fn rows(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch.project(&self.columns).map_err(internal)?;
        // Names may differ from the plan's.
        let columns = RecordBatch::try_new(self.schema.clone(), columns.columns().to_vec()).map_err(internal)?;
        self.rules.rows(&columns)
    }
}

pub(super) struct ChangeIntake {
    action: usize,
    /// Rows as they are: without conditions, nothing computed.
    kept: Side,
    fresh: Side,
    before: Option<Side>,
    keeps_changes: bool,
    returning: bool,
}

impl ChangeIntake {
    /// `carries`: whether rows of the plan may stay as they are, so that no column may be missing.
    pub fn new(
        demands: &Demands<'_>,
        input: &Schema,
        carries: bool,
        keeps_changes: bool,
        returning: bool,
        session: &SessionState,
    ) -> Result<ChangeIntake> {
        let action = input.index_of(ACTION).map_err(internal)?;
        if *input.field(action).data_type() != DataType::Int8 {
            return Err(Error::Internal { message: format!("{ACTION} is {}", input.field(action).data_type()) });
        }
        let as_is = Demands { checks: &[], invariants: &[], generated: &[], ..*demands };
        let is_generated = |name: &str| demands.generated.iter().any(|generated| generated.column == name);
        let side = |demands: &Demands<'_>, name_of: &dyn Fn(&str) -> Option<String>| -> Result<Side> {
            let fields = input.fields().iter().enumerate();
            let (columns, fields): (Vec<usize>, Vec<Field>) = fields
                .filter_map(|(index, field)| {
                    let name = name_of(field.name())?;
                    Some((index, Field::new(name, field.data_type().clone(), true)))
                })
                .unzip();
            let schema = Arc::new(Schema::new(fields));
            let rules = Rules::compile(demands, &schema, session)?;
            Ok(Side { columns, rules, schema })
        };
        let plain = |name: &str| (name != ACTION && !name.starts_with(BEFORE_PREFIX)).then(|| name.to_owned());
        let kept = side(&as_is, &plain)?;
        let fresh = side(demands, &|name| plain(name).filter(|name| !is_generated(name)))?;
        let has_before = input.fields().iter().any(|field| field.name().starts_with(BEFORE_PREFIX));
        let before = has_before.then(|| side(&as_is, &|name| name.strip_prefix(BEFORE_PREFIX).map(str::to_owned)));
        if carries && kept.columns.len() < demands.schema.fields().len() {
            let missing = demands.schema.fields().iter().find(|field| input.index_of(field.name()).is_err());
            // A column that the change itself adds is NULL in every row that stays.
            if let Some(field) = missing.filter(|field| !field.is_nullable()) {
                return Err(Error::Internal { message: format!("the plan lacks column {}", field.name()) });
            }
        }
        Ok(ChangeIntake { action, kept, fresh, before: before.transpose()?, keeps_changes, returning })
    }

    pub fn written_schema(&self) -> &SchemaRef {
        self.kept.rules.written_schema()
    }

    /// The schema of affected rows.
    pub fn rows_schema(&self) -> &SchemaRef {
        self.kept.rules.unchecked_schema()
    }

    fn take_changed(&self, action: i8, batch: &RecordBatch, taken: &mut Taken) -> Result<()> {
        let count = batch.num_rows() as u64;
        let (rows, kind) = match action {
            UPDATE => {
                taken.counts.updated += count;
                if self.keeps_changes {
                    let before = self.before.as_ref().ok_or_else(|| Error::Internal {
                        message: "an update without the rows as they were".to_owned(),
                    })?;
                    taken.changes.push(self.change(&before.rows(batch)?, "update_preimage")?);
                }
                (self.fresh.rows(batch)?, "update_postimage")
            }
            DELETE => {
                taken.counts.deleted += count;
                (self.kept.rows(batch)?, "delete")
            }
            _ => {
                taken.counts.inserted += count;
                (self.fresh.rows(batch)?, "insert")
            }
        };
        if self.keeps_changes {
            taken.changes.push(self.change(&rows, kind)?);
        }
        if action != DELETE {
            taken.data.push(self.kept.rules.written(&rows)?);
        }
        if self.returning {
            taken.affected.push(rows);
        }
        Ok(())
    }

    /// Rows as the change data feed has them.
    fn change(&self, rows: &RecordBatch, kind: &str) -> Result<RecordBatch> {
        let rows = self.kept.rules.written(rows)?;
        let mut fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(CHANGE_TYPE, DataType::Utf8, true)));
        let kinds: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(kind, rows.num_rows())));
        let columns = rows.columns().iter().cloned().chain([kinds]).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(internal)
    }
}

impl Intake for ChangeIntake {
    fn take(&self, batch: &RecordBatch) -> Result<Taken> {
        let mut taken = Taken { counts: Counts::default(), ..Taken::default() };
        let column = batch.columns().get(self.action).and_then(|column| column.as_primitive_opt::<Int8Type>());
        let actions = column.ok_or_else(|| Error::Internal { message: format!("{ACTION} is no number") })?;
        let known = |action: &i8| (KEEP..=INSERT).contains(action);
        if actions.null_count() > 0 || !actions.values().iter().all(known) {
            return Err(Error::Internal { message: "a row without an action".to_owned() });
        }
        for action in [KEEP, UPDATE, DELETE, INSERT] {
            let Some(batch) = rows_of(batch, actions, action)? else { continue };
            if action == KEEP {
                taken.data.push(self.kept.rules.written(&self.kept.rows(&batch)?)?);
            } else {
                self.take_changed(action, &batch, &mut taken)?;
            }
        }
        Ok(taken)
    }
}

/// The rows of one action, if there are any.
fn rows_of(batch: &RecordBatch, actions: &Int8Array, action: i8) -> Result<Option<RecordBatch>> {
    let count = actions.values().iter().filter(|value| **value == action).count();
    if count == 0 || count == batch.num_rows() {
        return Ok((count > 0).then(|| batch.clone()));
    }
    let mask = BooleanArray::from_iter(actions.values().iter().map(|value| Some(*value == action)));
    Ok(Some(filter_record_batch(batch, &mask).map_err(internal)?))
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::Internal { message: format!("telling rows apart: {error}") }
}
