//! `INSERT`: one commit per statement, or, in a transaction block, one commit for the block.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use alluvia_lake::{Insertion, Kept};
use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::execution::SessionState;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{DmlStatement, Expr, LogicalPlan, LogicalPlanBuilder, Values, WriteOp};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, Insert, ObjectName, SetExpr, Statement as Ast, TableObject, Value, With,
};

use super::parameters::parameter_types;
use super::rows::{Returning, check_writable, newest, once, pinned, retrying};
use super::target::{self, Target, check_insertable, folded};
use super::{Described, Usage, query};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::parser::{mentions_default_embedding, name_outputs};
use crate::planning::apart;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "INSERT",
    usage: "INSERT INTO <table> [AS <alias>] [(<column>, ...)] {VALUES (...), ... | <query>} [RETURNING ...]",
};

/// The statement with a WITH that stood in front of it, at its query.
pub(super) fn behind<'a>(with: Option<&With>, insert: &'a Insert) -> Cow<'a, Insert> {
    let Some(with) = with else { return Cow::Borrowed(insert) };
    let mut insert = insert.clone();
    if let Some(source) = &mut insert.source {
        match &mut source.with {
            // Those in front come first, and may be hidden by others of the same name.
            Some(own) => {
                own.recursive |= with.recursive;
                own.cte_tables.splice(0..0, with.cte_tables.iter().cloned()).for_each(drop);
            }
            None => source.with = Some(with.clone()),
        }
    }
    Cow::Owned(insert)
}

pub(super) async fn describe(
    session: &Session,
    state: &SessionState,
    insert: &Insert,
    declared: &[Option<DataType>],
) -> Result<Described> {
    let target = target_of(session, insert)?;
    let returning = returning_of(&target, insert)?;
    let insert = plain(state, insert).await?;
    let plan = LogicalPlan::Dml(plan(session, state, &insert).await?);
    let mut parameters = parameter_types(&plan, declared)?;
    let Some(returning) = returning else { return Ok(Described::write(parameters)) };
    let known: Vec<Option<DataType>> = parameters.iter().cloned().map(Some).collect();
    let snapshot = newest(session, &target).await?;
    let (schema, all) = returning.describe(session, state, &snapshot, &known).await?;
    parameters.extend(all.into_iter().skip(parameters.len()));
    Ok(Described::rows(schema, parameters))
}

pub(super) async fn run(
    session: &Session,
    state: &SessionState,
    insert: &Insert,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    let target = target_of(session, insert)?;
    check_writable(session, &target, "INSERT")?;
    let returning = returning_of(&target, insert)?;
    let (inserted, rows) = inserted(session, state, insert, returning.as_ref(), parameters).await?;
    let tag = format!("INSERT 0 {inserted}");
    match (returning, rows) {
        (Some(returning), Some(rows)) => Ok(returning.execution(&rows, tag)),
        _ => Ok(Execution::done(tag)),
    }
}

/// Runs the INSERT that another statement stands for; gives the number of rows.
pub(super) async fn rows(session: &Session, state: &SessionState, insert: &Insert) -> Result<u64> {
    Ok(inserted(session, state, insert, None, vec![]).await?.0)
}

async fn inserted(
    session: &Session,
    state: &SessionState,
    insert: &Insert,
    returning: Option<&Returning>,
    parameters: Vec<ScalarValue>,
) -> Result<(u64, Option<Kept>)> {
    let target = target_of(session, insert)?;
    let insert = &plain(state, insert).await?;
    let inserted = retrying(session, &target, |snapshot| {
        let (target, parameters) = (&target, parameters.clone());
        async move {
            let pinned = pinned(state, target, &snapshot, vec![])?;
            let dml = plan(session, &pinned, insert).await?;
            let plan = query::with_parameters(dml.input.as_ref().clone(), parameters.clone())?;
            let generated = snapshot.generated().iter().map(|generated| generated.column.clone()).collect();
            let plan = without_unnamed(nullable_values(plan)?, insert, &generated)?;
            let insertion = Insertion { reads_table: reads(&plan, target)?, plan, returning: returning.is_some() };
            let staged = session.engine.lake.stage_insert(&snapshot, insertion, &pinned).await?;
            Returning::commit(returning, session, state, &snapshot, staged, parameters).await
        }
    });
    let (changed, rows) = inserted.await?;
    Ok((changed.inserted, rows))
}

/// Whether the rows depend on those of the table that they go to.
fn reads(plan: &LogicalPlan, target: &Target) -> Result<bool> {
    let mut reads = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            reads |= scan.table_name.table() == target.name;
        }
        Ok(if reads { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(reads)
}

fn returning_of(target: &Target, insert: &Insert) -> Result<Option<Returning>> {
    let Some(items) = &insert.returning else { return Ok(None) };
    let alias = match &insert.table_alias {
        Some(alias) => alias.alias.clone(),
        None => Ident::with_quote('"', target.name.clone()),
    };
    Ok(Some(Returning::new(target, &alias, items)?))
}

fn target_of(session: &Session, insert: &Insert) -> Result<Target> {
    match &insert.table {
        TableObject::TableName(name) => Target::existing(session, name),
        _ => Err(Error::unsupported("INSERT into anything but a table")),
    }
}

async fn plan(session: &Session, state: &SessionState, insert: &Insert) -> Result<DmlStatement> {
    let ast = Ast::Insert(insert.clone());
    if mentions_default_embedding(&ast, session.engine.models.default_embedding()) {
        session.engine.models.ensure_default().await?;
    }
    let (planner, statement) = (state.clone(), query::planner_statement(ast));
    match apart(async move { Ok(planner.statement_to_plan(statement).await?) }).await? {
        LogicalPlan::Dml(dml) if dml.op == WriteOp::Insert(InsertOp::Append) => Ok(dml),
        other => Err(Error::internal(format!("INSERT was planned as {}", other.display()))),
    }
}

/// The statement in the planner's words.
async fn plain(state: &SessionState, insert: &Insert) -> Result<Insert> {
    check_plain(insert)?;
    let mut insert = insert.clone();
    // It names the table in RETURNING, which isn't the planner's, and in ON CONFLICT, which there isn't.
    insert.table_alias = None;
    insert.returning = None;
    if let Some(source) = &mut insert.source {
        // Columns go to their places, whatever they are called; the planner wants their names to differ.
        name_outputs(source);
    }
    if let Some(width) = plain_values(&mut insert) {
        name_first_columns(state, &mut insert, width).await?;
    }
    Ok(insert)
}

/// VALUES with NULL for DEFAULT, since no column has another. Gives the width of its rows.
fn plain_values(insert: &mut Insert) -> Option<usize> {
    let SetExpr::Values(values) = insert.source.as_mut()?.body.as_mut() else { return None };
    for value in values.rows.iter_mut().flat_map(|row| row.iter_mut()) {
        if let SqlExpr::Identifier(ident) = value
            && ident.quote_style.is_none()
            && ident.value.eq_ignore_ascii_case("default")
        {
            *value = SqlExpr::Value(Value::Null.into());
        }
    }
    values.rows.first().map(|row| row.len())
}

/// Values without names are those of the first columns; the others get NULL.
async fn name_first_columns(state: &SessionState, insert: &mut Insert, width: usize) -> Result<()> {
    let TableObject::TableName(name) = &insert.table else { return Ok(()) };
    if !insert.columns.is_empty() {
        return Ok(());
    }
    let parts = target::parts(name)?;
    let reference = match parts.as_slice() {
        [name] => TableReference::bare(name.as_str()),
        [schema, name] => TableReference::partial(schema.as_str(), name.as_str()),
        [catalog, schema, name] => TableReference::full(catalog.as_str(), schema.as_str(), name.as_str()),
        _ => return Ok(()),
    };
    // What can't be found is refused, in better words, when the statement is planned.
    let Ok(schema) = state.schema_for_ref(reference.clone()) else { return Ok(()) };
    let Some(table) = schema.table(reference.table()).await? else { return Ok(()) };
    let columns = table.schema();
    if width < columns.fields().len() {
        let quoted = |field: &Arc<Field>| ObjectName::from(vec![Ident::with_quote('"', field.name())]);
        insert.columns = columns.fields().iter().take(width).map(quoted).collect();
    }
    Ok(())
}

/// VALUES that may hold NULL wherever it stands: whether a column takes it is for the table to say.
fn nullable_values(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up(|plan| match plan {
        LogicalPlan::Values(values) => {
            let nullable = |(qualifier, field): (Option<&TableReference>, &Arc<Field>)| {
                (qualifier.cloned(), Arc::new(field.as_ref().clone().with_nullable(true)))
            };
            let fields = values.schema.iter().map(nullable).collect();
            let schema = DFSchema::new_with_metadata(fields, values.schema.metadata().clone())?;
            Ok(Transformed::yes(LogicalPlan::Values(Values { schema: Arc::new(schema), ..values })))
        }
        // Their schemas are those of what is below them.
        LogicalPlan::Projection(_) => Ok(Transformed::yes(plan.recompute_schema()?)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(changed.data)
}

fn check_plain(insert: &Insert) -> Result<()> {
    if insert.on.is_some() {
        return Err(Error::unsupported("INSERT ... ON CONFLICT")
            .with_hint(
                "A Delta table keeps no keys; MERGE names them: MERGE INTO t USING (VALUES (1, 'a')) AS s(id, name) \
                 ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.name).",
            ));
    }
    if insert.output.is_some() {
        return Err(Error::unsupported("INSERT ... OUTPUT"));
    }
    if insert.overwrite || insert.replace_into || insert.partitioned.is_some() {
        return Err(Error::unsupported("INSERT OVERWRITE"));
    }
    Ok(())
}

/// Drops the NULLs that the planner put in place of generated columns, so that the table computes them.
fn without_unnamed(input: LogicalPlan, insert: &Insert, generated: &HashSet<String>) -> Result<LogicalPlan> {
    let named: HashSet<String> =
        insert.columns.iter().filter_map(|name| Some(folded(name.0.last()?.as_ident()?))).collect();
    if generated.is_empty() || named.is_empty() {
        return Ok(input);
    }
    let kept: Vec<Expr> = input
        .schema()
        .iter()
        .filter(|(_, field)| !generated.contains(field.name()) || named.contains(field.name()))
        .map(|(qualifier, field)| Expr::Column(Column::from((qualifier, field))))
        .collect();
    Ok(LogicalPlanBuilder::from(input).project(kept)?.build()?)
}

/// Adds the rows of a plan whose columns are those of the table, some left out: for statements other than INSERT. The
/// plan runs once, so that it may give rows that come only once.
pub(super) async fn append_rows(
    session: &Session,
    state: &SessionState,
    target: &Target,
    input: LogicalPlan,
) -> Result<u64> {
    let changed = once(session, target, |snapshot| async move {
        let insertion = Insertion { plan: input, reads_table: false, returning: false };
        Ok(session.engine.lake.insert(&snapshot, insertion, state).await?)
    });
    Ok(changed.await?.inserted)
}

/// The columns that a table computes itself; none of what isn't a Delta table of this catalog.
pub(super) async fn generated_columns(session: &Session, name: &ObjectName) -> Result<HashSet<String>> {
    let Ok(target) = Target::existing(session, name) else { return Ok(HashSet::new()) };
    if target.entry(session).is_ok_and(|entry| check_insertable(&entry).is_err()) {
        return Ok(HashSet::new());
    }
    match newest(session, &target).await {
        Ok(snapshot) => Ok(snapshot.generated().iter().map(|generated| generated.column.clone()).collect()),
        Err(error) if error.kind == Kind::UndefinedTable => Ok(HashSet::new()),
        Err(error) => Err(error),
    }
}
