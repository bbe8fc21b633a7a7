//! What a table demands of a row, applied to whole batches on their way into its files: types, generated columns,
//! NOT NULL, CHECK constraints and column invariants.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SessionState;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;

use crate::definition::{Check, Generated};
use crate::error::{Error, Result};
use crate::expressions::compile;
use crate::nulls::{first_broken, has_promise};
use crate::physical::{file_schema, rename};
use crate::types::relaxed;
use crate::writer::{Counts, Intake, Taken};

mod cast;

/// The longest value shown of a failing row, in bytes, as in PostgreSQL.
const SHOWN_VALUE_BYTES_MAX: usize = 64;

/// A table's demands as its metadata states them. `invariants` are checks named by their column.
pub(crate) struct Demands<'a> {
    pub schema: &'a SchemaRef,
    pub partition_columns: &'a [String],
    pub checks: &'a [Check],
    pub invariants: &'a [Check],
    pub generated: &'a [Generated],
    /// The schema with the log's annotations, where the files use other names than the schema.
    pub mapped: Option<&'a SchemaRef>,
}

/// A table's demands, compiled for the columns that one statement supplies.
pub(crate) struct Rules {
    /// The table's schema: names, types and promises.
    schema: SchemaRef,
    /// The same with every field nullable: what rows are before they have been checked.
    unchecked: SchemaRef,
    /// What is written: nested promises relaxed, since they are of the table and not of its files; names as in the files.
    written: SchemaRef,
    /// Where each column comes from in the input; `None` is computed, or NULL.
    sources: Vec<Option<usize>>,
    generated: Vec<Computed>,
    checks: Vec<Condition>,
    /// String columns that the table is partitioned by.
    partition_texts: Vec<usize>,
    /// Whether rows are wanted back.
    affected: bool,
}

struct Computed {
    column: usize,
    /// Given by the statement: then compared, not replaced.
    supplied: bool,
    sql: String,
    expression: Arc<dyn PhysicalExpr>,
}

struct Condition {
    name: String,
    sql: String,
    expression: Arc<dyn PhysicalExpr>,
}

impl Rules {
    /// Columns of `input` are matched by name. One that the table lacks is refused; one that the input lacks is
    /// computed when it is generated, and NULL otherwise.
    pub fn compile(demands: &Demands<'_>, input: &Schema, session: &SessionState) -> Result<Rules> {
        let schema = demands.schema.clone();
        let relax = |field: &Field, nullable| Field::new(field.name(), relaxed(field.data_type()), nullable);
        let unchecked = schema.fields().iter().map(|field| relax(field, true)).collect::<Vec<_>>();
        let unchecked = Arc::new(Schema::new(unchecked));
        let written = schema.fields().iter().map(|field| relax(field, field.is_nullable())).collect::<Vec<_>>();
        let mut written = Arc::new(Schema::new(written));
        if let Some(annotated) = demands.mapped {
            written = file_schema(&written, annotated);
        }
        let sources = sources(&schema, input)?;
        let condition = |check: &Check| {
            let expression = compile(&check.expression_sql, &unchecked, session)?;
            if expression.data_type(&unchecked)? != DataType::Boolean {
                return Err(Error::InvalidDefinition { message: format!("check {} is not a condition", check.name) });
            }
            Ok(Condition { name: check.name.clone(), sql: check.expression_sql.clone(), expression })
        };
        let checks = demands.checks.iter().chain(demands.invariants).map(condition).collect::<Result<_>>()?;
        let computed = |generated: &Generated| {
            let column = schema
                .index_of(&generated.column)
                .map_err(|error| Error::Internal { message: format!("generated column: {error}") })?;
            let expression = compile(&generated.expression_sql, &unchecked, session)?;
            for used in collect_columns(&expression) {
                if demands.generated.iter().any(|other| other.column == used.name()) {
                    let message = format!("generated column \"{}\" refers to one that is generated", generated.column);
                    return Err(Error::InvalidDefinition { message });
                }
            }
            let supplied = sources.get(column).is_some_and(Option::is_some);
            Ok(Computed { column, supplied, sql: generated.expression_sql.clone(), expression })
        };
        let generated = demands.generated.iter().map(computed).collect::<Result<_>>()?;
        let is_partition_text =
            |field: &Field| *field.data_type() == DataType::Utf8 && demands.partition_columns.contains(field.name());
        let texts = schema.fields().iter().enumerate().filter(|(_, field)| is_partition_text(field));
        let partition_texts = texts.map(|(index, _)| index).collect();
        Ok(Rules { schema, unchecked, written, sources, generated, checks, partition_texts, affected: false })
    }

    /// The same, giving rows back as they are stored, where `affected`.
    pub fn with_affected(self, affected: bool) -> Rules {
        Rules { affected, ..self }
    }

    /// A table's promises must be of its rows alone: what a function like `random()` says is none.
    pub fn refuse_volatile(&self) -> Result<()> {
        let checks = self.checks.iter().map(|check| (&check.expression, &check.sql));
        let generated = self.generated.iter().map(|computed| (&computed.expression, &computed.sql));
        for (expression, sql) in checks.chain(generated) {
            if is_volatile(expression) {
                let message = format!("the expression {sql} does not depend on its row alone");
                return Err(Error::InvalidDefinition { message });
            }
        }
        Ok(())
    }

    /// The schema of what [`Rules::apply`] returns.
    pub fn written_schema(&self) -> &SchemaRef {
        &self.written
    }

    /// The schema of what [`Rules::rows`] returns: the table's names and types, every field nullable.
    pub fn unchecked_schema(&self) -> &SchemaRef {
        &self.unchecked
    }

    /// The rows of `input` as the table has them, or the first demand that one of them breaks.
    pub fn rows(&self, input: &RecordBatch) -> Result<RecordBatch> {
        let rows = self.compute(self.convert(input)?)?;
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            if has_promise(field)
                && let Some((column, row)) = first_broken(column, field)
            {
                return Err(Error::NotNullViolation { column, row: show(&rows, row) });
            }
        }
        for column in &self.partition_texts {
            self.refuse_empty_text(&rows, *column)?;
        }
        for check in &self.checks {
            if let Some(row) = first_untrue(&check.expression, &rows)? {
                let (constraint, expression) = (check.name.clone(), check.sql.clone());
                return Err(Error::CheckViolation { constraint, expression, row: show(&rows, row) });
            }
        }
        Ok(rows)
    }

    /// Rows of the table under the names that its files use.
    pub fn written(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let fields = self.written.fields().iter().zip(rows.columns());
        let columns = fields.map(|(field, column)| rename(column, field.data_type())).collect::<Result<_, _>>();
        let columns = columns.map_err(|error| Error::Internal { message: format!("renaming columns: {error}") })?;
        batch(&self.written, columns, rows.num_rows())
    }

    fn convert(&self, input: &RecordBatch) -> Result<RecordBatch> {
        let convert = |(field, source): (&Arc<Field>, &Option<usize>)| match source {
            Some(index) => cast::store(input.column(*index), field),
            None => Ok(new_null_array(field.data_type(), input.num_rows())),
        };
        let columns = self.unchecked.fields().iter().zip(&self.sources).map(convert).collect::<Result<_>>()?;
        batch(&self.unchecked, columns, input.num_rows())
    }

    /// Generated columns refer to stored columns only, so one pass in any order will do.
    fn compute(&self, rows: RecordBatch) -> Result<RecordBatch> {
        if self.generated.is_empty() {
            return Ok(rows);
        }
        let mut columns = rows.columns().to_vec();
        for computed in &self.generated {
            let field = self.unchecked.field(computed.column);
            let value = computed.expression.evaluate(&rows)?.into_array(rows.num_rows())?;
            let value = cast::store(&value, field)?;
            let Some(column) = columns.get_mut(computed.column) else { continue };
            if !computed.supplied {
                *column = value;
            } else if let Some(row) = first_false(&same(column, &value, &computed.sql)?) {
                let (column, expression) = (field.name().clone(), computed.sql.clone());
                return Err(Error::GeneratedViolation { column, expression, row: show(&rows, row) });
            }
        }
        batch(&self.unchecked, columns, rows.num_rows())
    }

    /// The format can't tell an empty string from NULL in a partition column, and would give back NULL.
    fn refuse_empty_text(&self, rows: &RecordBatch, column: usize) -> Result<()> {
        let Some(texts) = rows.column(column).as_string_opt::<i32>() else { return Ok(()) };
        if texts.iter().any(|text| text == Some("")) {
            return Err(Error::CastFailed {
                column: self.schema.field(column).name().clone(),
                message: "a delta table cannot be partitioned by an empty string".to_owned(),
            });
        }
        Ok(())
    }
}

impl Intake for Rules {
    fn take(&self, batch: &RecordBatch) -> Result<Taken> {
        let counts = Counts { inserted: batch.num_rows() as u64, ..Counts::default() };
        let rows = self.rows(batch)?;
        let data = vec![self.written(&rows)?];
        let affected = if self.affected { vec![rows] } else { Vec::new() };
        Ok(Taken { data, affected, counts, ..Taken::default() })
    }
}

/// `values` as a column of `field` stores them.
///
/// # Errors
/// [`Error::CastFailed`] of the first value that doesn't fit.
pub fn stored(values: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    cast::check(field.name(), values.data_type(), field.data_type())?;
    cast::store(values, field)
}

fn sources(schema: &Schema, input: &Schema) -> Result<Vec<Option<usize>>> {
    let invalid = |message: String| Error::InvalidDefinition { message };
    for (index, field) in input.fields().iter().enumerate() {
        let name = field.name();
        let Ok(stored) = schema.field_with_name(name) else {
            return Err(invalid(format!("the table has no column \"{name}\"")));
        };
        if input.index_of(name).is_ok_and(|first| first != index) {
            return Err(invalid(format!("column \"{name}\" is given more than once")));
        }
        cast::check(name, field.data_type(), &relaxed(stored.data_type()))?;
    }
    Ok(schema.fields().iter().map(|field| input.index_of(field.name()).ok()).collect())
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| Error::Internal { message: format!("rows do not fit the table's schema: {error}") })
}

fn same(left: &ArrayRef, right: &ArrayRef, sql: &str) -> Result<BooleanArray> {
    not_distinct(left, right).map_err(|error| Error::UnsupportedFeature {
        name: format!("comparing a column with its generation expression {sql} ({error})"),
    })
}

fn first_false(values: &BooleanArray) -> Option<usize> {
    (0..values.len()).find(|row| values.is_null(*row) || !values.value(*row))
}

/// The first row for which a condition isn't true; NULL isn't, as the Delta protocol has it.
fn first_untrue(condition: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<Option<usize>> {
    let values = condition.evaluate(rows)?.into_array(rows.num_rows())?;
    let values = values
        .as_boolean_opt()
        .ok_or_else(|| Error::Internal { message: format!("a condition gave {}", values.data_type()) })?;
    if values.null_count() == 0 && values.true_count() == values.len() {
        return Ok(None);
    }
    Ok(first_false(values))
}

/// The values of one row, as PostgreSQL shows a failing row.
fn show(rows: &RecordBatch, row: usize) -> String {
    let options = FormatOptions::new().with_null("null");
    let value = |column: &ArrayRef| {
        let text = match ArrayFormatter::try_new(column, &options) {
            Ok(formatter) => formatter.value(row).to_string(),
            Err(_) => "?".to_owned(),
        };
        match text.char_indices().find(|(index, _)| *index >= SHOWN_VALUE_BYTES_MAX) {
            Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
            None => text,
        }
    };
    rows.columns().iter().map(value).collect::<Vec<_>>().join(", ")
}
