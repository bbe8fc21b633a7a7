//! `INSERT`: one commit per statement, or, in a transaction block, one commit for the block.
//!
//! In a block the rows are first written to a table of the same definition, kept aside in a folder of its own: so a
//! violated constraint shows at the statement, the session reads its own rows, and others see nothing until COMMIT
//! appends the kept rows in one commit.

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;

use alluvia_lake::TableSpec;
use arrow::datatypes::{DataType, Field};
use async_trait::async_trait;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{DmlStatement, Expr, LogicalPlan, LogicalPlanBuilder, Values, WriteOp};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, Insert, ObjectName, SetExpr, Statement as Ast, TableObject, Value,
};
use url::Url;

use super::new_table::CreatedTable;
use super::parameters::parameter_types;
use super::target::{self, Target, check_insertable, folded};
use super::{Described, Usage, query};
use crate::catalog::TableEntry;
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::parser::mentions_default_embedding;
use crate::planning::apart;
use crate::session::Session;
use crate::transaction::{DeferredWork, PendingWrite};

pub(super) const USAGE: Usage =
    Usage { statement: "INSERT", usage: "INSERT INTO <table> [(<column>, ...)] {VALUES (...), ... | <query>}" };

pub(super) async fn describe(
    session: &Session,
    state: &SessionState,
    insert: &Insert,
    declared: &[Option<DataType>],
) -> Result<Described> {
    let insert = plain(state, insert).await?;
    let plan = LogicalPlan::Dml(plan(session, state, &insert).await?);
    Ok(Described::write(parameter_types(&plan, declared)?))
}

pub(super) async fn run(
    session: &Session,
    state: &SessionState,
    insert: &Insert,
    parameters: Vec<ScalarValue>,
) -> Result<Execution> {
    let target = target_of(session, insert)?;
    {
        let transaction = session.transaction.lock();
        transaction.check_writable("INSERT")?;
        transaction.check_target(&target.to_string())?;
    }
    let insert = &plain(state, insert).await?;
    let dml = plan(session, state, insert).await?;
    let input = nullable_values(query::with_parameters(dml.input.as_ref().clone(), parameters)?)?;
    let rows = if target::in_block(session) {
        append_in_block(session, state, &target, Some(insert), input).await?
    } else {
        let entry = target.entry(session)?;
        check_insertable(&entry)?;
        append(session, state, &entry.location, Some(insert), input).await?
    };
    Ok(Execution::done(format!("INSERT 0 {rows}")))
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
    // It would name the table in RETURNING and ON CONFLICT, which there aren't.
    insert.table_alias = None;
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
            .with_hint("A Delta table keeps no keys. Insert only the rows that are missing: WHERE NOT EXISTS (...)."));
    }
    if insert.returning.is_some() || insert.output.is_some() {
        return Err(Error::unsupported("INSERT ... RETURNING"));
    }
    if insert.overwrite || insert.replace_into || insert.partitioned.is_some() {
        return Err(Error::unsupported("INSERT OVERWRITE"));
    }
    Ok(())
}

async fn append(
    session: &Session,
    state: &SessionState,
    location: &Url,
    insert: Option<&Insert>,
    input: LogicalPlan,
) -> Result<u64> {
    let snapshot = session.engine.lake.open(location).await?;
    let input = match insert {
        Some(insert) => {
            let generated = snapshot.generated().iter().map(|generated| generated.column.clone()).collect();
            without_unnamed(input, insert, &generated)?
        }
        None => input,
    };
    Ok(session.engine.lake.append(&snapshot, input, state).await?.rows)
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

/// Adds the rows of a plan whose columns are those of the table, some left out: for statements other than INSERT.
pub(super) async fn append_rows(
    session: &Session,
    state: &SessionState,
    target: &Target,
    input: LogicalPlan,
) -> Result<u64> {
    if target::in_block(session) {
        return append_in_block(session, state, target, None, input).await;
    }
    let entry = target.entry(session)?;
    check_insertable(&entry)?;
    append(session, state, &entry.location, None, input).await
}

/// The columns that a table computes itself; none of what isn't a Delta table of this catalog.
pub(super) async fn generated_columns(session: &Session, name: &ObjectName) -> Result<HashSet<String>> {
    let Ok(target) = Target::existing(session, name) else { return Ok(HashSet::new()) };
    let location = match target.entry(session) {
        Ok(entry) if check_insertable(&entry).is_ok() => entry.location,
        Ok(_) => return Ok(HashSet::new()),
        Err(_) => match created_in_block(session) {
            Some(location) => location,
            None => return Ok(HashSet::new()),
        },
    };
    let snapshot = session.engine.lake.open(&location).await?;
    Ok(snapshot.generated().iter().map(|generated| generated.column.clone()).collect())
}

async fn append_in_block(
    session: &Session,
    state: &SessionState,
    target: &Target,
    insert: Option<&Insert>,
    input: LogicalPlan,
) -> Result<u64> {
    if let Some(location) = created_in_block(session) {
        let rows = append(session, state, &location, insert, input).await?;
        let snapshot = session.engine.lake.open(&location).await?;
        session.overlay.put(&target.schema, &target.name, snapshot.provider(state)?);
        return Ok(rows);
    }
    let entry = target.entry(session)?;
    check_insertable(&entry)?;
    let aside = match kept_aside(session) {
        Some(aside) => aside,
        None => keep_aside(session, target, &entry).await?,
    };
    let rows = append(session, state, &aside, insert, input).await?;
    show_own_rows(session, state, target, &entry, &aside).await?;
    Ok(rows)
}

fn created_in_block(session: &Session) -> Option<Url> {
    let transaction = session.transaction.lock();
    let work = transaction.pending.as_ref()?.work.as_any();
    work.downcast_ref::<CreatedTable>().map(|created| created.table.location.clone())
}

fn kept_aside(session: &Session) -> Option<Url> {
    let transaction = session.transaction.lock();
    let work = transaction.pending.as_ref()?.work.as_any();
    work.downcast_ref::<KeptRows>().map(|kept| kept.aside.clone())
}

/// Makes the table that keeps this block's rows, of the target's definition.
async fn keep_aside(session: &Session, target: &Target, entry: &TableEntry) -> Result<Url> {
    let engine = &session.engine;
    let snapshot = engine.lake.open(&entry.location).await?;
    let mut spec = TableSpec::new(snapshot.schema());
    spec.checks = snapshot.checks().to_vec();
    spec.generated = snapshot.generated().to_vec();
    let aside = engine.catalog.reserve_table_folder(&target.schema, &target.name).await?;
    if let Err(error) = engine.lake.create(&aside, &spec).await {
        let _ = engine.catalog.discard_folder(&engine.lake, &aside).await;
        return Err(error.into());
    }
    let work = KeptRows { target: target.clone(), aside: aside.clone() };
    session.transaction.lock().pending = Some(PendingWrite { target: target.to_string(), work: Box::new(work) });
    Ok(aside)
}

/// The session sees the table with its own rows added.
async fn show_own_rows(
    session: &Session,
    state: &SessionState,
    target: &Target,
    entry: &TableEntry,
    aside: &Url,
) -> Result<()> {
    let lake = &session.engine.lake;
    let base = lake.open(&entry.location).await?.provider(state)?;
    let own = lake.open(aside).await?.provider(state)?;
    let own = LogicalPlanBuilder::scan(target.name.as_str(), provider_as_source(own), None)?.build()?;
    let both = LogicalPlanBuilder::scan(target.name.as_str(), provider_as_source(base), None)?.union(own)?.build()?;
    session.overlay.put(&target.schema, &target.name, Arc::new(ViewTable::new(both, None)));
    Ok(())
}

/// Rows of an open block, which COMMIT appends to their table.
#[derive(Debug)]
struct KeptRows {
    target: Target,
    aside: Url,
}

#[async_trait]
impl DeferredWork for KeptRows {
    async fn commit(self: Box<Self>, session: &Session) -> Result<()> {
        let result = self.append_kept(session).await;
        self.remove(session).await;
        result
    }

    async fn roll_back(self: Box<Self>, session: &Session) {
        self.remove(session).await;
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl KeptRows {
    async fn append_kept(&self, session: &Session) -> Result<()> {
        let state = session.statement_state();
        let lake = &session.engine.lake;
        let entry = self.target.entry(session)?;
        let snapshot = lake.open(&entry.location).await?;
        let kept = lake.open(&self.aside).await?.provider(&state)?;
        let plan = LogicalPlanBuilder::scan("kept", provider_as_source(kept), None)?.build()?;
        lake.append(&snapshot, plan, &state).await?;
        Ok(())
    }

    async fn remove(&self, session: &Session) {
        let engine = &session.engine;
        if let Err(error) = engine.catalog.discard_folder(&engine.lake, &self.aside).await {
            tracing::warn!(%error, location = %self.aside, "a finished transaction's folder stays until the next start");
        }
    }
}
