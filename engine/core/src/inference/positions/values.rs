//! VALUES. DataFusion evaluates its cells while it plans, so that cells with calls become arguments in VALUES and
//! calls in a projection above it: `VALUES ('a', embed('b')), ('c', embed('d'))` makes one call over two rows.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    EmptyRelation, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Projection, Union, Values,
};

use super::super::call::contains_call;
use alluvia_udfs::parse_call;

/// A plan of the same columns in which VALUES holds no call.
pub(in super::super) fn values(node: Values) -> Result<LogicalPlan> {
    let empty = DFSchema::empty();
    let mut columns = vec![];
    for index in 0..node.schema.fields().len() {
        let cells: Vec<Expr> = node.values.iter().filter_map(|row| row.get(index).cloned()).collect();
        match pattern(cells, &empty)? {
            Some(column) => columns.push(column),
            None => return row_by_row(node),
        }
    }
    let mut rows = vec![vec![]; node.values.len()];
    let mut first = 0;
    let mut exprs = vec![];
    for (column, field) in columns.into_iter().zip(node.schema.fields()) {
        let shift = |expr: Expr| match expr {
            Expr::Column(slot) => match slot.name.parse::<usize>() {
                // VALUES names its columns column1, column2, ...
                Ok(slot) => {
                    Ok(Transformed::yes(Expr::Column(Column::new_unqualified(format!("column{}", first + slot + 1)))))
                }
                Err(_) => Ok(Transformed::no(Expr::Column(slot))),
            },
            other => Ok(Transformed::no(other)),
        };
        let template = column.template.transform(shift)?.data;
        first += column.slots.len();
        for slot in column.slots {
            rows.iter_mut().zip(slot).for_each(|(row, cell)| row.push(cell));
        }
        exprs.push((template, field));
    }
    let below = LogicalPlanBuilder::values(rows)?.build()?;
    let exprs = exprs
        .into_iter()
        .map(|(expr, field)| Ok(expr.cast_to(field.data_type(), below.schema())?.alias(field.name())))
        .collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(below))?))
}

/// A column of VALUES, as one expression over the columns that hold what differs from row to row.
struct Pattern {
    template: Expr,
    slots: Vec<Vec<Expr>>,
}

/// None when the cells differ in more than their calls' requests.
fn pattern(cells: Vec<Expr>, schema: &DFSchema) -> Result<Option<Pattern>> {
    if !cells.iter().any(contains_call) {
        return Ok(Some(Pattern { template: slot(0), slots: vec![cells] }));
    }
    let mut common: Option<Expr> = None;
    let mut types: Vec<DataType> = vec![];
    let mut slots: Vec<Vec<Expr>> = vec![];
    for cell in cells {
        let mut requests = vec![];
        let template = template(cell, &mut requests)?;
        let own = requests.iter().map(|request| request.get_type(schema)).collect::<Result<Vec<_>>>()?;
        if common.is_none() {
            types = own.clone();
            slots = vec![vec![]; requests.len()];
        }
        if own != types || common.as_ref().is_some_and(|common| *common != template) {
            return Ok(None);
        }
        common = Some(template);
        slots.iter_mut().zip(requests).for_each(|(slot, request)| slot.push(request));
    }
    Ok(common.map(|template| Pattern { template, slots }))
}

fn slot(index: usize) -> Expr {
    Expr::Column(Column::new_unqualified(index.to_string()))
}

/// The expression with numbered columns for the requests of its innermost calls, which are put into `requests`.
fn template(expr: Expr, requests: &mut Vec<Expr>) -> Result<Expr> {
    if !contains_call(&expr) {
        return Ok(expr);
    }
    let Some(call) = parse_call(&expr)? else {
        return Ok(expr.map_children(|child| Ok(Transformed::yes(template(child, requests)?)))?.data);
    };
    let Expr::ScalarFunction(function) = expr else { return Ok(expr) };
    let mut args = vec![];
    for arg in function.args {
        if contains_call(&arg) {
            args.push(template(arg, requests)?);
        } else if arg == call.request {
            args.push(slot(requests.len()));
            requests.push(arg);
        } else {
            args.push(arg);
        }
    }
    Ok(Expr::ScalarFunction(ScalarFunction { func: function.func, args }))
}

/// One projection per row, for rows that have too little in common.
fn row_by_row(node: Values) -> Result<LogicalPlan> {
    let empty = DFSchema::empty();
    let mut inputs = vec![];
    for row in node.values {
        let input = EmptyRelation { produce_one_row: true, schema: Arc::new(empty.clone()) };
        let exprs = row
            .into_iter()
            .zip(node.schema.fields())
            .map(|(cell, field)| Ok(cell.cast_to(field.data_type(), &empty)?.alias(field.name())))
            .collect::<Result<Vec<_>>>()?;
        inputs.push(Arc::new(LogicalPlan::Projection(Projection::try_new(
            exprs,
            Arc::new(LogicalPlan::EmptyRelation(input)),
        )?)));
    }
    match inputs.as_slice() {
        [only] => Ok(only.as_ref().clone()),
        _ => Ok(LogicalPlan::Union(Union::try_new(inputs)?)),
    }
}
