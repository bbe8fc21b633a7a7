//! The rows that one version of a table has more often than another. Only files that the two don't share are read, and
//! rows are counted: DataFusion's EXCEPT ALL drops every row that the other side has at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, UnnestOptions};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::functions_nested::expr_fn::array_repeat;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident, lit, when};
use datafusion::scalar::ScalarValue;

use super::{CHANGE_TYPE, text_field};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::scan::RowScan;
use crate::snapshot::Snapshot;

/// How often `after` has a row more than `before`; later, that many times what happened to it.
const COUNT: &str = "__alluvia_count";

impl Lake {
    /// The table's columns and `_change_type`: `insert` for a row that `after` has more often, `delete` for one that
    /// `before` has.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when a column has another type in the two.
    pub fn difference(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        session: &SessionState,
    ) -> Result<Arc<dyn TableProvider>> {
        let columns = columns(before, after)?;
        let (gone, come) = files(before, after);
        let old = counted(before, gone, &columns, -1, session)?;
        let new = counted(after, come, &columns, 1, session)?;
        let names: Vec<Expr> = columns.iter().map(|field| ident(field.name())).collect();
        let plan = LogicalPlanBuilder::from(old).union(new)?;
        let plan = plan.aggregate(names.clone(), vec![sum(ident(COUNT)).alias(COUNT)])?;
        let plan = plan.filter(ident(COUNT).not_eq(lit(0_i64)))?;
        let more = ident(COUNT).gt(lit(0_i64));
        let what = when(more.clone(), lit("insert")).otherwise(lit("delete"))?;
        let times = when(more, ident(COUNT)).otherwise(lit(0_i64) - ident(COUNT))?;
        let mut repeated = names.clone();
        repeated.push(array_repeat(what, times).alias(CHANGE_TYPE));
        let plan = plan.project(repeated)?;
        let plan = plan.unnest_column_with_options(Column::from_name(CHANGE_TYPE), UnnestOptions::default())?;
        let mut shown = names;
        shown.push(cast(ident(CHANGE_TYPE), text_field(CHANGE_TYPE).data_type().clone()).alias(CHANGE_TYPE));
        Ok(Arc::new(ViewTable::new(plan.project(shown)?.build()?, None)))
    }
}

/// Those of `after`, then those that only `before` has.
fn columns(before: &Snapshot, after: &Snapshot) -> Result<Vec<FieldRef>> {
    let (old, new): (SchemaRef, SchemaRef) = (before.schema(), after.schema());
    let mut columns: Vec<FieldRef> = new.fields().iter().cloned().collect();
    for field in old.fields() {
        match new.field_with_name(field.name()) {
            Ok(known) if known.data_type() == field.data_type() => {}
            Ok(known) => {
                return Err(Error::Unsupported {
                    what: format!(
                        "comparing column \"{}\" as {} with what it was, {}",
                        field.name(),
                        known.data_type(),
                        field.data_type()
                    ),
                });
            }
            Err(_) => columns.push(Arc::clone(field)),
        }
    }
    Ok(columns)
}

/// Paths of the files that only one of the two has. A file with deleted rows may be another in the other version.
fn files(before: &Snapshot, after: &Snapshot) -> (BTreeSet<String>, BTreeSet<String>) {
    let whole = |snapshot: &Snapshot| {
        let files = snapshot.files().filter(|file| !file.has_deletions).map(|file| file.path);
        files.collect::<BTreeSet<String>>()
    };
    let all = |snapshot: &Snapshot| snapshot.files().map(|file| file.path).collect::<BTreeSet<String>>();
    let (whole_before, whole_after) = (whole(before), whole(after));
    let same = |path: &String| whole_before.contains(path) && whole_after.contains(path);
    let only = |snapshot: &Snapshot| all(snapshot).into_iter().filter(|path| !same(path)).collect();
    (only(before), only(after))
}

fn counted(
    snapshot: &Snapshot,
    files: BTreeSet<String>,
    columns: &[FieldRef],
    count: i64,
    session: &SessionState,
) -> Result<LogicalPlan> {
    let schema = snapshot.schema();
    let rows = snapshot.rows(session, RowScan { files: Some(files), ..RowScan::default() })?;
    let scan = LogicalPlanBuilder::scan("rows", provider_as_source(rows), None)?;
    let mut shown = vec![];
    for field in columns {
        let value = match schema.field_with_name(field.name()) {
            Ok(_) => cast(ident(field.name()), field.data_type().clone()),
            Err(_) => lit(ScalarValue::try_from(field.data_type())?),
        };
        shown.push(value.alias(field.name()));
    }
    shown.push(cast(lit(count), DataType::Int64).alias(COUNT));
    Ok(scan.project(shown)?.build()?)
}
