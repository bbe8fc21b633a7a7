//! The second step of a MERGE: the rows of the files that change and the inserted rows, each with what becomes of it.

use alluvia_lake::{ACTION, BEFORE_PREFIX};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition, cast, col, lit, when,
};
use datafusion::sql::sqlparser::ast::Ident;

use super::super::target::folded;
use super::clauses::{Action, Clauses};
use super::queries::{CLAUSE, Planned, Queries, ROW, UNMATCHED};
use crate::error::Result;
use crate::planning::assigned;

const UPDATE: i8 = 1;
const DELETE: i8 = 2;
const INSERT: i8 = 3;
const RANK: &str = "__alluvia_rank";

/// What the rows of the change look like.
pub(super) struct Shape {
    /// The target's columns, with those that the statement adds.
    pub schema: SchemaRef,
    /// How many of them the target has by now.
    pub stored: usize,
    /// Whether rows as they were are wanted too.
    pub before: bool,
}

/// The target's rows, with what becomes of each. `repeated`: a row may have several matches, of which one acts at most.
pub(super) async fn rewritten(
    queries: &Queries<'_>,
    clauses: &Clauses,
    shape: &Shape,
    repeated: bool,
) -> Result<LogicalPlan> {
    // Where rows without a match matter, a match that doesn't act matters as well.
    let planned = queries.rewritten(clauses, clauses.unmatched.is_empty()).await?;
    let actions = numbered_actions(clauses);
    let mut joined = with_clause(&planned)?;
    if repeated && !clauses.unmatched.is_empty() {
        joined = one_of_each(joined, queries.target, &actions)?;
    }
    let old = |index: usize, field: &FieldRef| match index < shape.stored {
        true => Expr::Column(Column::new(Some(known_as(queries.target)), field.name())),
        false => null(field.data_type()),
    };
    let mut columns = vec![];
    for (index, field) in shape.schema.fields().iter().enumerate() {
        let branches = values_of(&planned, field);
        columns.push(by_clause(branches, old(index, field))?.alias(field.name()));
    }
    if shape.before {
        for (index, field) in shape.schema.fields().iter().enumerate() {
            columns.push(old(index, field).alias(format!("{BEFORE_PREFIX}{}", field.name())));
        }
    }
    columns.push(by_clause(actions, lit(0i8))?.alias(ACTION));
    Ok(LogicalPlanBuilder::from(joined).project(columns)?.build()?)
}

/// The rows that are inserted.
pub(super) async fn inserted(queries: &Queries<'_>, clauses: &Clauses, shape: &Shape) -> Result<LogicalPlan> {
    let planned = queries.inserted(clauses).await?;
    let inserting = clauses.missing.iter().enumerate();
    let inserting = inserting.filter(|(_, clause)| matches!(clause.action, Action::Insert(_)));
    let inserting: Vec<Expr> = inserting.map(|(index, _)| lit(index as i64)).collect();
    let rows =
        LogicalPlanBuilder::from(with_clause(&planned)?).filter(col(clause_column()).in_list(inserting, false))?;
    let mut columns = vec![];
    for field in shape.schema.fields() {
        let value = by_clause(values_of(&planned, field), null(field.data_type()))?;
        columns.push(value.alias(field.name()));
    }
    if shape.before {
        let before = shape.schema.fields().iter();
        columns.extend(before.map(|field| null(field.data_type()).alias(format!("{BEFORE_PREFIX}{}", field.name()))));
    }
    columns.push(lit(INSERT).alias(ACTION));
    Ok(rows.project(columns)?.build()?)
}

pub(super) fn both(first: LogicalPlan, second: LogicalPlan) -> Result<LogicalPlan> {
    Ok(LogicalPlanBuilder::from(first).union(second)?.build()?)
}

/// The clauses that change rows, by their numbers, with what they do.
fn numbered_actions(clauses: &Clauses) -> Vec<(i64, Expr)> {
    let matched = clauses.matched.iter().enumerate();
    let unmatched = clauses.unmatched.iter().enumerate().map(|(index, clause)| (UNMATCHED + index, clause));
    let action = |(number, clause): (usize, &super::Clause)| match clause.action {
        Action::Update(_) => Some((number as i64, lit(UPDATE))),
        Action::Delete => Some((number as i64, lit(DELETE))),
        Action::Insert(_) | Action::Nothing => None,
    };
    matched.chain(unmatched).filter_map(action).collect()
}

/// The plan's rows, each with the number of its clause.
fn with_clause(planned: &Planned) -> Result<LogicalPlan> {
    let mut columns: Vec<Expr> =
        planned.input.schema().iter().map(|column| Expr::Column(Column::from(column))).collect();
    columns.push(cast(planned.clause.clone(), DataType::Int64).alias(CLAUSE));
    Ok(LogicalPlanBuilder::from(planned.input.clone()).project(columns)?.build()?)
}

fn known_as(table: &Ident) -> TableReference {
    TableReference::bare(folded(table))
}

fn clause_column() -> Column {
    Column::new_unqualified(CLAUSE)
}

/// Of the matches of each target row the one that acts, or any.
fn one_of_each(joined: LogicalPlan, target: &Ident, actions: &[(i64, Expr)]) -> Result<LogicalPlan> {
    let acting = actions.iter().map(|(number, _)| lit(*number)).collect();
    let acts_first = when(col(clause_column()).in_list(acting, false), lit(0i8)).otherwise(lit(1i8))?;
    let row = Expr::Column(Column::new(Some(known_as(target)), ROW));
    let number = WindowFunctionDefinition::WindowUDF(row_number_udwf());
    let rank = Expr::from(WindowFunction::new(number, vec![]));
    let rank = rank.partition_by(vec![row]).order_by(vec![acts_first.sort(true, false)]).build()?.alias(RANK);
    let ranked = LogicalPlanBuilder::from(joined).window(vec![rank])?;
    Ok(ranked.filter(col(Column::new_unqualified(RANK)).eq(lit(1u64)))?.build()?)
}

/// What the clauses assign to a column, in its type.
fn values_of(planned: &Planned, field: &FieldRef) -> Vec<(i64, Expr)> {
    let value = |(number, values): &(usize, Vec<(String, Expr)>)| {
        let (_, value) = values.iter().find(|(column, _)| column == field.name())?;
        Some((*number as i64, assigned(value.clone(), field)))
    };
    planned.values.iter().filter_map(value).collect()
}

/// The value of the branch whose number is the row's.
fn by_clause(branches: Vec<(i64, Expr)>, otherwise: Expr) -> Result<Expr> {
    let mut branches = branches.into_iter();
    let Some((number, value)) = branches.next() else { return Ok(otherwise) };
    let is = |number: i64| col(clause_column()).eq(lit(number));
    let mut case = when(is(number), value);
    for (number, value) in branches {
        case.when(is(number), value);
    }
    Ok(case.otherwise(otherwise)?)
}

fn null(data_type: &DataType) -> Expr {
    let value = ScalarValue::try_from(data_type).unwrap_or(ScalarValue::Null);
    cast(Expr::Literal(value, None), data_type.clone())
}
