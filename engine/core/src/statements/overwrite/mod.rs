//! INSERTs that do more than add rows: `INSERT OVERWRITE` and `REPLACE WHERE` take rows out by the same commit, `BY NAME`
//! goes by the query's column names, `WITH SCHEMA EVOLUTION` adds columns that the table lacks.

mod columns;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use alluvia_lake::{ACTION, BEFORE_PREFIX, Change, Operation, RowScan, Snapshot};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, cast, lit, when};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, Insert, SetExpr, Statement, TableObject, visit_expressions,
};
use futures::future::BoxFuture;

use self::columns::{Assignment, fixed_values};
use super::merge::pairs;
use super::parameters::parameter_types_of;
use super::rows::{check_writable, newest, pinned, retrying};
use super::target::{Target, folded};
use super::{Described, Usage, query};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::parser::{merging, name_outputs};
use crate::planning::{assigned, demanded, given_name, trees, with_given};
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "INSERT OVERWRITE",
    usage: "INSERT [WITH SCHEMA EVOLUTION] {OVERWRITE [TABLE] <table> [PARTITION (<column> = <value>, ...)] | \
            INTO <table>} [(<column>, ...)] [BY NAME] [REPLACE WHERE <condition>] {VALUES (...), ... | <query>}",
};

const TARGET: &str = "target";
const FILE: &str = "__alluvia_file";
const DELETE: i8 = 2;
const INSERT: i8 = 3;

/// Whether an INSERT is one of these.
pub(super) fn applies(insert: &Insert) -> bool {
    let hints = &insert.optimizer_hints;
    insert.overwrite || insert.replace_into || merging::is_by_name(insert) || merging::evolves_schema(hints)
}

pub(super) fn describe<'a>(
    session: &'a Session,
    state: &'a SessionState,
    insert: &'a Insert,
    declared: &'a [Option<DataType>],
) -> BoxFuture<'a, Result<Described>> {
    Box::pin(async move {
        let replacing = Replacing::of(session, insert)?;
        let snapshot = newest(session, &replacing.target).await?;
        let state = pinned(state, &replacing.target, &snapshot, vec![])?;
        let mut plans = vec![replacing.inserted(session, &state, &snapshot).await?.plan];
        if let Some(condition) = replacing.condition(&snapshot)? {
            plans.push(replacing.searched(session, &state, &snapshot, &condition).await?);
        }
        Ok(Described::write(parameter_types_of(&plans, declared)?))
    })
}

pub(super) fn run<'a>(
    session: &'a Session,
    state: &'a SessionState,
    insert: &'a Insert,
    parameters: Vec<ScalarValue>,
) -> BoxFuture<'a, Result<Execution>> {
    Box::pin(async move {
        let replacing = Replacing::of(session, insert)?;
        check_writable(session, &replacing.target, "INSERT")?;
        let inserted = retrying(session, &replacing.target, |snapshot| {
            let (replacing, parameters) = (&replacing, &parameters);
            async move {
                let state = pinned(state, &replacing.target, &snapshot, vec![])?;
                let change = replacing.change(session, &state, &snapshot, parameters).await?;
                Ok(session.engine.lake.change(&snapshot, change, &state).await?.inserted)
            }
        });
        Ok(Execution::done(format!("INSERT 0 {}", inserted.await?)))
    })
}

struct Replacing<'a> {
    insert: &'a Insert,
    target: Target,
    /// What conditions call the table.
    name: Ident,
    source: Statement,
}

/// New rows, with the columns that the table gets for them.
struct Inserted {
    plan: LogicalPlan,
    assignment: Assignment,
}

impl<'a> Replacing<'a> {
    fn of(session: &Session, insert: &'a Insert) -> Result<Replacing<'a>> {
        if insert.returning.is_some() {
            return Err(Error::unsupported("RETURNING of an INSERT that replaces rows or adds columns"));
        }
        let TableObject::TableName(name) = &insert.table else {
            return Err(Error::unsupported("INSERT into anything but a table"));
        };
        let target = Target::existing(session, name)?;
        let known_as = Ident::with_quote('"', target.name.clone());
        let Some(mut source) = insert.source.clone() else {
            return Err(Error::unsupported("INSERT OVERWRITE without a query"));
        };
        if let SetExpr::Values(values) = source.body.as_mut() {
            for value in values.rows.iter_mut().flat_map(|row| row.iter_mut()) {
                if merging::is_default(value) {
                    *value = trees::null();
                }
            }
        }
        if !merging::is_by_name(insert) && !merging::evolves_schema(&insert.optimizer_hints) {
            // Columns go to their places, whatever they are called; the planner wants their names to differ.
            name_outputs(&mut source);
        }
        Ok(Replacing { insert, target, name: known_as, source: Statement::Query(source) })
    }

    async fn change(
        &self,
        session: &Session,
        state: &SessionState,
        snapshot: &Snapshot,
        parameters: &[ScalarValue],
    ) -> Result<Change> {
        let with_values = |plan| query::with_parameters(plan, parameters.to_vec());
        let Inserted { plan, assignment } = self.inserted(session, state, snapshot).await?;
        let mut plan = with_values(plan)?;
        let mut change = Change::new(nothing(), Operation::Append);
        let condition = self.condition(snapshot)?;
        let everything = condition.is_none() && self.insert.overwrite;
        // Where later statements of a block may write changes, each row that goes has to be among them.
        let by_row = everything && snapshot.tells_all_changes();
        if let Some(condition) = condition.clone().or_else(|| by_row.then(|| trees::boolean(true))) {
            let search = with_values(self.searched(session, state, snapshot, &condition).await?)?;
            pairs::files(state, search, &mut change.replaced).await?;
            if !change.replaced.is_empty() {
                let kept = self.kept(session, state, snapshot, &condition, &change.replaced, &assignment.columns);
                plan = LogicalPlanBuilder::from(with_values(kept.await?)?).union(plan)?.build()?;
            }
        } else if everything {
            let files: Vec<_> = snapshot.files().collect();
            change.removed_rows = files.iter().filter_map(|file| file.rows).sum();
            change.removed = files.into_iter().map(|file| file.path).collect();
        }
        if everything || condition.is_some() {
            change.operation = Operation::Overwrite { predicate: condition.map(|condition| condition.to_string()) };
        }
        change.plan = plan;
        change.added_columns = assignment.added;
        Ok(change)
    }

    /// What rows are replaced by: those of a condition; `None` is all of them for OVERWRITE, and none otherwise.
    fn condition(&self, snapshot: &Snapshot) -> Result<Option<SqlExpr>> {
        if let Some(condition) = merging::replace_condition(self.insert) {
            return Ok(Some(condition.clone()));
        }
        let fixed = fixed_values(self.insert, snapshot)?.into_iter().map(|(column, value)| {
            let column = SqlExpr::Identifier(Ident::with_quote('"', column));
            SqlExpr::IsNotDistinctFrom(Box::new(column), Box::new(value))
        });
        Ok(fixed.reduce(trees::and))
    }

    /// The new rows: the query's, each column in its place and type.
    async fn inserted(&self, session: &Session, state: &SessionState, snapshot: &Snapshot) -> Result<Inserted> {
        let fixed = fixed_values(self.insert, snapshot)?;
        let (names, values): (Vec<String>, Vec<SqlExpr>) = fixed.into_iter().unzip();
        let plan = query::plan(session, state, &self.source).await?;
        let assignment = Assignment::of(self.insert, snapshot, plan.schema().as_arrow(), &names)?;
        let columns = Arc::new(Schema::new(assignment.columns.clone()));
        let values = self.over(session, state, &columns, &values).await?;
        let sources: Vec<Expr> = plan.schema().iter().map(|column| Expr::Column(Column::from(column))).collect();
        let mut projected = vec![];
        for (field, source) in assignment.columns.iter().zip(&assignment.sources) {
            let of_query = source.and_then(|place| sources.get(place));
            let of_partition = || values.get(names.iter().position(|name| name == field.name())?);
            let value = of_query.or_else(of_partition);
            let value = value.map_or_else(|| null(field.data_type()), |value| assigned(value.clone(), field));
            projected.push(value.alias(field.name()));
        }
        let known_as = TableReference::bare(self.name.value.clone());
        let rows = LogicalPlanBuilder::from(plan).project(projected)?.alias(known_as)?.build()?;
        let mut projected: Vec<Expr> = rows.schema().iter().map(|column| Expr::Column(Column::from(column))).collect();
        if snapshot.keeps_changes() {
            projected.extend(assignment.columns.iter().map(|field| before(null(field.data_type()), field)));
        }
        let action = match merging::replace_condition(self.insert) {
            Some(condition) => {
                self.refuse_generated(condition, snapshot)?;
                let demands = self.over(session, state, &columns, std::slice::from_ref(condition)).await?;
                let message = "new row does not meet the condition of REPLACE WHERE".to_string();
                let demand = |demand| demanded(demand, message, format!("The condition is {condition}."));
                let demand = demands.into_iter().next().map_or_else(|| lit(true), demand);
                when(demand, lit(INSERT)).end()?
            }
            None => lit(INSERT),
        };
        projected.push(action.alias(ACTION));
        Ok(Inserted { plan: LogicalPlanBuilder::from(rows).project(projected)?.build()?, assignment })
    }

    /// Generated columns of new rows are computed when they are written, later than the condition is asked.
    fn refuse_generated(&self, condition: &SqlExpr, snapshot: &Snapshot) -> Result<()> {
        let mut generated = None;
        let _ = visit_expressions(condition, |expression| {
            let column = match expression {
                SqlExpr::Identifier(column) => Some(column),
                SqlExpr::CompoundIdentifier(parts) => parts.last(),
                _ => None,
            };
            let column = column
                .map(folded)
                .filter(|column| snapshot.generated().iter().any(|generated| generated.column == *column));
            generated = generated.take().or(column);
            ControlFlow::<()>::Continue(())
        });
        match generated {
            Some(column) => Err(Error::unsupported(format!("REPLACE WHERE with the generated column \"{column}\""))
                .with_hint("Use the columns that it is computed from.")),
            None => Ok(()),
        }
    }

    /// Expressions over rows of the table's name and these columns.
    async fn over(
        &self,
        session: &Session,
        state: &SessionState,
        columns: &SchemaRef,
        expressions: &[SqlExpr],
    ) -> Result<Vec<Expr>> {
        let rows: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(Arc::clone(columns)));
        let state = with_given(state, vec![(TARGET, rows)]);
        Ok(self.select(session, &state, expressions, None).await?.1)
    }

    /// Files with rows of the condition.
    async fn searched(
        &self,
        session: &Session,
        state: &SessionState,
        snapshot: &Snapshot,
        condition: &SqlExpr,
    ) -> Result<LogicalPlan> {
        let state = self.with_rows(state, snapshot, None)?;
        let file = trees::column(&self.name, FILE);
        let (input, expressions) = self.select(session, &state, &[file], Some(condition.clone())).await?;
        let expressions: Vec<Expr> = expressions.into_iter().map(|file| file.alias(FILE)).collect();
        Ok(LogicalPlanBuilder::from(input).project(expressions)?.build()?)
    }

    /// The rows of `files`, those of the condition marked to go.
    async fn kept(
        &self,
        session: &Session,
        state: &SessionState,
        snapshot: &Snapshot,
        condition: &SqlExpr,
        files: &BTreeSet<String>,
        columns: &[FieldRef],
    ) -> Result<LogicalPlan> {
        let state = self.with_rows(state, snapshot, Some(files.clone()))?;
        let (input, expressions) = self.select(session, &state, std::slice::from_ref(condition), None).await?;
        let condition = expressions.into_iter().next().unwrap_or_else(|| lit(false));
        let schema = snapshot.schema();
        let old = |field: &FieldRef| match schema.field_with_name(field.name()) {
            Ok(_) => Expr::Column(Column::new(Some(TableReference::bare(folded(&self.name))), field.name())),
            Err(_) => null(field.data_type()),
        };
        let mut projected: Vec<Expr> = columns.iter().map(|field| old(field).alias(field.name())).collect();
        if snapshot.keeps_changes() {
            projected.extend(columns.iter().map(|field| before(old(field), field)));
        }
        projected.push(when(condition, lit(DELETE)).otherwise(lit(0i8))?.alias(ACTION));
        Ok(LogicalPlanBuilder::from(input).project(projected)?.build()?)
    }

    fn with_rows(
        &self,
        state: &SessionState,
        snapshot: &Snapshot,
        files: Option<BTreeSet<String>>,
    ) -> Result<SessionState> {
        let mut plain = state.clone();
        plain.config_mut().options_mut().execution.parquet.schema_force_view_types = false;
        let rows = snapshot.rows(&plain, RowScan { files, file_column: Some(FILE.into()), row_column: None })?;
        Ok(with_given(state, vec![(TARGET, rows)]))
    }

    /// Expressions over the given table, and the rows that they are over.
    async fn select(
        &self,
        session: &Session,
        state: &SessionState,
        expressions: &[SqlExpr],
        selection: Option<SqlExpr>,
    ) -> Result<(LogicalPlan, Vec<Expr>)> {
        let item = |(place, expression): (usize, &SqlExpr)| {
            trees::item(expression.clone(), &format!("__alluvia_value_{place}"))
        };
        let items = expressions.iter().enumerate().map(item).collect();
        let from = trees::from(trees::table(given_name(TARGET), &self.name));
        match query::plan(session, state, &trees::select(None, items, from, selection)).await? {
            LogicalPlan::Projection(projection) => {
                let expressions = projection.expr.into_iter().map(Expr::unalias).collect();
                Ok((Arc::unwrap_or_clone(projection.input), expressions))
            }
            other => Err(Error::internal(format!("a condition was planned as {}", other.display()))),
        }
    }
}

fn before(value: Expr, field: &FieldRef) -> Expr {
    value.alias(format!("{BEFORE_PREFIX}{}", field.name()))
}

fn null(data_type: &DataType) -> Expr {
    let value = ScalarValue::try_from(data_type).unwrap_or(ScalarValue::Null);
    cast(Expr::Literal(value, None), data_type.clone())
}

fn nothing() -> LogicalPlan {
    let schema = Arc::new(DFSchema::empty());
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema })
}
