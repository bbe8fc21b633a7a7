//! DELETE and UPDATE. A first pass evaluates the condition and the new values, once for each row, and puts by the rows'
//! places; a second one rewrites the files that hold them. So functions like `random()`, model calls and subqueries
//! are evaluated in one place only, exactly as a SELECT would.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvia_lake::{ACTION, BEFORE_PREFIX, Change, FILE, FileInfo, Operation, ROW, Snapshot};
use arrow::datatypes::DataType;
use datafusion::common::{Column, JoinType, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit, when};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, ObjectName, SelectItem, SetExpr, Statement as Ast, TableAlias, TableFactor, TableWithJoins,
    Value, With,
};

use super::found::Found;
use super::returning::Returning;
use super::{check_writable, newest, pinned, retrying};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::parser::selecting;
use crate::planning::{CATALOG, assigned};
use crate::session::Session;
use crate::statements::parameters::parameter_types;
use crate::statements::target::Target;
use crate::statements::{Described, query};

/// The name under which the table is scanned with its rows' places.
const PLACED: &str = "__alluvia_target";
const FOUND: &str = "__alluvia_found";
const UPDATE: i8 = 1;
const DELETE: i8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::statements) enum Verb {
    Delete,
    Update,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Verb::Delete => "DELETE",
            Verb::Update => "UPDATE",
        }
    }
}

/// A DELETE or an UPDATE.
pub(in crate::statements) struct RowChange {
    pub verb: Verb,
    /// WITH in front of the statement.
    pub with: Option<With>,
    pub target: Target,
    /// What the statement calls its table.
    pub alias: Ident,
    /// Tables of USING or FROM.
    pub others: Vec<TableWithJoins>,
    pub selection: Option<SqlExpr>,
    /// Columns and their new values.
    pub assigned: Vec<(String, SqlExpr)>,
    pub returning: Option<Vec<SelectItem>>,
}

impl RowChange {
    pub async fn describe(
        &self,
        session: &Session,
        state: &SessionState,
        declared: &[Option<DataType>],
    ) -> Result<Described> {
        let snapshot = newest(session, &self.target).await?;
        let (state_of, plan) = self.search(session, state, &snapshot).await?;
        let mut parameters = parameter_types(&plan, declared)?;
        query::analyzed(&state_of, query::typed(plan, &parameters)?)?;
        let Some(returning) = self.returning()? else { return Ok(Described::write(parameters)) };
        let known: Vec<Option<DataType>> = parameters.iter().cloned().map(Some).collect();
        let (schema, all) = returning.describe(session, state, &snapshot, &known).await?;
        parameters.extend(all.into_iter().skip(parameters.len()));
        Ok(Described::rows(schema, parameters))
    }

    pub async fn run(
        &self,
        session: &Session,
        state: &SessionState,
        parameters: Vec<ScalarValue>,
    ) -> Result<Execution> {
        check_writable(session, &self.target, self.verb.name())?;
        let returning = self.returning()?;
        let changed = retrying(session, &self.target, |snapshot| {
            let (parameters, returning) = (parameters.clone(), returning.as_ref());
            async move {
                let (change, many) = match self.change(session, state, &snapshot, parameters.clone()).await? {
                    Some(change) => change,
                    None => (Change::new(nothing(), self.operation()), false),
                };
                let limited = session.engine.config.memory_limit_bytes.is_some();
                let spilling = (many && limited).then(|| without_hash_joins(state));
                let staged = session.engine.lake.stage(&snapshot, change, spilling.as_ref().unwrap_or(state)).await?;
                Returning::commit(returning, session, state, &snapshot, staged, parameters).await
            }
        });
        let (changed, rows) = changed.await?;
        let tag = format!("{} {}", self.verb.name(), changed.updated + changed.deleted);
        match (returning, rows) {
            (Some(returning), Some(rows)) => Ok(returning.execution(&rows, tag)),
            _ => Ok(Execution::done(tag)),
        }
    }

    fn returning(&self) -> Result<Option<Returning>> {
        let items = self.returning.as_deref();
        items.map(|items| Returning::new(&self.target, &self.alias, items)).transpose()
    }

    /// The first pass: a plan of places and new values, and the state that it belongs to.
    async fn search(
        &self,
        session: &Session,
        state: &SessionState,
        snapshot: &Snapshot,
    ) -> Result<(SessionState, LogicalPlan)> {
        let placed = snapshot.positions(state, None)?;
        let state = pinned(state, &self.target, snapshot, vec![(PLACED, placed)])?;
        let place = |name: &str| {
            let expr = SqlExpr::CompoundIdentifier(vec![self.alias.clone(), Ident::with_quote('"', name)]);
            SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) }
        };
        let value = |(index, (_, value)): (usize, &(String, SqlExpr))| SelectItem::ExprWithAlias {
            expr: value.clone(),
            alias: Ident::with_quote('"', new_value(index)),
        };
        let items = [FILE, ROW].map(place).into_iter().chain(self.assigned.iter().enumerate().map(value)).collect();
        let from = [table_as(&self.target, PLACED, &self.alias)?].into_iter().chain(self.others.iter().cloned());
        let mut ast = select(items, from.collect(), self.selection.clone())?;
        if let Ast::Query(query) = &mut ast {
            query.with = self.with.clone();
        }
        let plan = self.as_stored(query::plan(session, &state, &ast).await?, snapshot)?;
        // A row that joins with several is one row still.
        let distinct =
            if self.others.is_empty() { plan } else { LogicalPlanBuilder::from(plan).distinct()?.build()? };
        Ok((state, distinct))
    }

    /// New values in the types of their columns.
    fn as_stored(&self, plan: LogicalPlan, snapshot: &Snapshot) -> Result<LogicalPlan> {
        let LogicalPlan::Projection(projection) = plan else {
            return Err(Error::internal(format!("{} was planned as {}", self.verb.name(), plan.display())));
        };
        let schema = snapshot.schema();
        let mut expressions = projection.expr.clone();
        let values = expressions.iter_mut().skip(2).zip(&self.assigned);
        for (index, (expression, (column, _))) in values.enumerate() {
            let (_, field) =
                schema.fields().find(column).ok_or_else(|| Error::internal(format!("no column {column}")))?;
            *expression = assigned(expression.clone().unalias(), field).alias(new_value(index));
        }
        Ok(LogicalPlanBuilder::from(projection.input.as_ref().clone()).project(expressions)?.build()?)
    }

    /// What is to be done, and whether the rows that were found are many.
    async fn change(
        &self,
        session: &Session,
        state: &SessionState,
        snapshot: &Snapshot,
        parameters: Vec<ScalarValue>,
    ) -> Result<Option<(Change, bool)>> {
        let files: Vec<FileInfo> = snapshot.files().collect();
        let may_drop = self.verb == Verb::Delete && self.returning.is_none() && !snapshot.tells_all_changes();
        let all_known = files.iter().all(|file| live_rows(file).is_some());
        if may_drop && all_known && self.others.is_empty() && self.selection.is_none() {
            return Ok(Some((self.dropping(&files), false)));
        }
        let (pinned, plan) = self.search(session, state, snapshot).await?;
        let found = Found::by(query::with_parameters(plan, parameters)?, &pinned).await?;
        if found.rows.rows() == 0 {
            return Ok(None);
        }
        if self.verb == Verb::Update && !self.others.is_empty() {
            found.refuse_twice(state).await?;
        }
        let hit = |index: usize| i32::try_from(index).ok().and_then(|index| found.of_file.get(&index)).copied();
        let touched = files.iter().enumerate().filter_map(|(index, file)| Some((file, hit(index)?)));
        let whole = |(file, hits): &(&FileInfo, u64)| may_drop && live_rows(file) == Some(*hits);
        let (gone, partly): (Vec<_>, Vec<_>) = touched.partition(whole);
        // Where there are change files, readers of changes look at nothing else.
        let (gone, partly) = match snapshot.keeps_changes() && !partly.is_empty() {
            true => (vec![], gone.into_iter().chain(partly).collect()),
            false => (gone, partly),
        };
        let paths = |files: Vec<(&FileInfo, u64)>| -> BTreeSet<String> {
            files.into_iter().map(|(file, _)| file.path.clone()).collect()
        };
        let removed_rows = gone.iter().map(|(_, hits)| hits).sum();
        let (removed, replaced) = (paths(gone), paths(partly));
        let plan = self.rewriting(state, snapshot, &found, &replaced)?;
        let returning = self.returning.is_some();
        let operation = self.operation();
        let change = Change { replaced, removed, removed_rows, returning, ..Change::new(plan, operation) };
        Ok(Some((change, found.rows.is_spilled())))
    }

    /// All files go, unread.
    fn dropping(&self, files: &[FileInfo]) -> Change {
        Change {
            removed: files.iter().map(|file| file.path.clone()).collect(),
            removed_rows: files.iter().filter_map(live_rows).sum(),
            ..Change::new(nothing(), self.operation())
        }
    }

    fn operation(&self) -> Operation {
        let predicate = self.selection.as_ref().map(ToString::to_string);
        match self.verb {
            Verb::Delete => Operation::Delete { predicate },
            Verb::Update => Operation::Update { predicate },
        }
    }

    /// The second pass: the rows of the files, those that were found changed.
    fn rewriting(
        &self,
        state: &SessionState,
        snapshot: &Snapshot,
        found: &Found,
        replaced: &BTreeSet<String>,
    ) -> Result<LogicalPlan> {
        if replaced.is_empty() {
            return Ok(nothing());
        }
        let rows = snapshot.positions(state, Some(replaced.clone()))?;
        let rows = LogicalPlanBuilder::scan(PLACED, provider_as_source(rows), None)?.build()?;
        let of = |table: &str, name: &str| Column::new(Some(TableReference::bare(table)), name);
        let on = |table: &str| vec![of(table, FILE), of(table, ROW)];
        let joined = LogicalPlanBuilder::scan(FOUND, provider_as_source(found.rows.provider()?), None)?.join(
            rows,
            JoinType::Right,
            (on(FOUND), on(PLACED)),
            None,
        )?;
        let is_found = Expr::Column(of(FOUND, ROW)).is_not_null();
        let action = if self.verb == Verb::Update { UPDATE } else { DELETE };
        let action = when(is_found.clone(), lit(action)).otherwise(lit(0i8))?.alias(ACTION);
        let mut columns = vec![action];
        for field in snapshot.schema().fields() {
            let stored = Expr::Column(of(PLACED, field.name()));
            if self.verb == Verb::Update && snapshot.keeps_changes() {
                columns.push(stored.clone().alias(format!("{BEFORE_PREFIX}{}", field.name())));
            }
            let value = match self.assigned.iter().position(|(column, _)| column == field.name()) {
                Some(index) => {
                    let value = Expr::Column(of(FOUND, &new_value(index)));
                    when(is_found.clone(), value).otherwise(stored)?
                }
                None => stored,
            };
            columns.push(value.alias(field.name()));
        }
        Ok(joined.project(columns)?.build()?)
    }
}

/// A state whose joins sort, and spill, instead of holding one side in memory.
fn without_hash_joins(state: &SessionState) -> SessionState {
    let mut state = state.clone();
    state.config_mut().options_mut().optimizer.prefer_hash_join = false;
    state
}

fn nothing() -> LogicalPlan {
    let schema = Arc::new(datafusion::common::DFSchema::empty());
    LogicalPlan::EmptyRelation(datafusion::logical_expr::EmptyRelation { produce_one_row: false, schema })
}

/// The rows of a file, where the log says how many there are.
fn live_rows(file: &FileInfo) -> Option<u64> {
    file.rows.filter(|_| !file.has_deletions)
}

fn new_value(index: usize) -> String {
    format!("__alluvia_new_{index}")
}

/// `SELECT <items> FROM <from> WHERE <selection>`.
pub(super) fn select(items: Vec<SelectItem>, from: Vec<TableWithJoins>, selection: Option<SqlExpr>) -> Result<Ast> {
    let mut ast = selecting(SqlExpr::Value(Value::Null.into()))?;
    if let Ast::Query(query) = &mut ast
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        select.projection = items;
        select.from = from;
        select.selection = selection;
    }
    Ok(ast)
}

/// `SELECT <items> FROM <from>`.
pub(in crate::statements) fn select_from(items: Vec<SelectItem>, from: TableWithJoins) -> Result<Ast> {
    select(items, vec![from], None)
}

/// A table of the target's schema under another name.
pub(super) fn table_as(target: &Target, table: &str, alias: &Ident) -> Result<TableWithJoins> {
    let quoted = |name: &str| Ident::with_quote('"', name);
    let name = ObjectName::from(vec![quoted(CATALOG), quoted(&target.schema), quoted(table)]);
    let alias = TableAlias { explicit: true, name: alias.clone(), columns: vec![], at: None };
    let relation = TableFactor::Table {
        name,
        alias: Some(alias),
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    };
    Ok(TableWithJoins { relation, joins: vec![] })
}
