//! Once types are known, the planner's arithmetic and casts are replaced where PostgreSQL means something else by them.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction, SetComparison};
use datafusion::logical_expr::expr_rewriter::{FunctionRewrite, NamePreserver};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, cast, lit};
use datafusion::optimizer::AnalyzerRule;

use super::arithmetic::Checked;
use super::call;
use super::divide::Divide;
use super::parse::{self, Parse};
use super::round::RoundHalfEven;
use super::text::{self, ToText};
use super::timezone::AtTimeZone;

/// Stands after type coercion.
#[derive(Debug)]
pub(crate) struct PostgresMeaning;

impl AnalyzerRule for PostgresMeaning {
    fn name(&self) -> &str {
        "postgres_meaning"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone: Arc<str> = config.execution.time_zone.as_deref().unwrap_or("UTC").into();
        Ok(plan.transform_up_with_subqueries(|plan| rewrite_node(plan, &zone))?.data)
    }
}

fn rewrite_node(plan: LogicalPlan, zone: &Arc<str>) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Values(values) = &plan
        && values.values.iter().flatten().all(|value| matches!(value, Expr::Literal(..)))
    {
        return Ok(Transformed::no(plan));
    }
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        let source = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
        schema.merge(&source);
    }
    let names = NamePreserver::new(&plan);
    let rewritten = plan.map_expressions(|expression| {
        let name = names.save(&expression);
        let rewritten = expression.transform_up(|expression| Ok(rewrite(expression, &schema, zone)))?;
        Ok(rewritten.update_data(|expression| name.restore(expression)))
    })?;
    if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
}

fn rewrite(expression: Expr, schema: &DFSchema, zone: &Arc<str>) -> Transformed<Expr> {
    let replaced = match &expression {
        Expr::BinaryExpr(binary) if binary.op == Operator::Divide && is_decimal(binary, schema) => {
            // A parameter's type wasn't known when the quotient's was found: the digits are rounded to that.
            let quotient = call(Divide, vec![binary.left.as_ref().clone(), binary.right.as_ref().clone()]);
            expression.get_type(schema).ok().map(|data_type| cast(quotient, data_type))
        }
        Expr::BinaryExpr(binary) => {
            let data_type = type_of(&binary.left, schema);
            let same = data_type.filter(|left| type_of(&binary.right, schema).is_some_and(|right| right == *left));
            same.and_then(|data_type| Checked::of(binary.op, &data_type))
                .map(|checked| call(checked, vec![binary.left.as_ref().clone(), binary.right.as_ref().clone()]))
        }
        Expr::Cast(inner) => {
            let target = inner.field.data_type();
            type_of(&inner.expr, schema).and_then(|source| converted(&inner.expr, &source, target, zone))
        }
        Expr::ScalarFunction(function) => local_parts(function, schema, zone),
        Expr::SetComparison(comparison) => renamed_subquery(comparison, schema),
        _ => None,
    };
    match replaced {
        Some(replaced) => Transformed::yes(replaced),
        None => Transformed::no(expression),
    }
}

fn is_decimal(binary: &BinaryExpr, schema: &DFSchema) -> bool {
    let decimal = |side| matches!(type_of(side, schema), Some(DataType::Decimal128(..)));
    decimal(&binary.left) && decimal(&binary.right)
}

/// `x = ANY('{1,2}')`: text that stands for an array has the type of what is looked for in it.
#[derive(Debug)]
pub(crate) struct ArraysAsText;

impl FunctionRewrite for ArraysAsText {
    fn name(&self) -> &str {
        "arrays_as_text"
    }

    fn rewrite(&self, expression: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(function) = &expression else { return Ok(Transformed::no(expression)) };
        let [array, item] = function.args.as_slice() else { return Ok(Transformed::no(expression)) };
        if function.name() != "array_has" || !array.get_type(schema).is_ok_and(|text| text == DataType::Utf8) {
            return Ok(Transformed::no(expression));
        }
        let Ok(element) = item.get_type(schema) else { return Ok(Transformed::no(expression)) };
        let array = cast(array.clone(), DataType::new_list(element, true));
        Ok(Transformed::yes(Arc::clone(&function.func).call(vec![array, item.clone()])))
    }
}

/// An expression's type. Arithmetic of ours has its left operand's, which is found without asking for those of a whole
/// nest at each of its levels.
fn type_of(expression: &Expr, schema: &DFSchema) -> Option<DataType> {
    let mut expression = expression;
    while let Expr::ScalarFunction(function) = expression {
        match function.args.first() {
            Some(left) if function.func.inner().is::<super::Function<Checked>>() => expression = left,
            _ => break,
        }
    }
    expression.get_type(schema).ok()
}

/// `CAST(value AS target)` in PostgreSQL's way; `None` where the planner's is the same.
fn converted(value: &Expr, source: &DataType, target: &DataType, zone: &Arc<str>) -> Option<Expr> {
    use DataType::{Date32, Decimal128, Float32, Float64, LargeUtf8, Timestamp, Utf8, Utf8View};
    let value = || value.clone();
    match (source, target) {
        (Float32 | Float64, target) if target.is_integer() => {
            Some(cast(call(RoundHalfEven, vec![value()]), target.clone()))
        }
        // From numeric to numeric, Arrow rounds half away from zero, which is what PostgreSQL does here.
        (Decimal128(_, scale), target) if *scale > 0 && target.is_integer() => {
            Some(cast(cast(value(), Decimal128(DECIMAL128_MAX_PRECISION, 0)), target.clone()))
        }
        (Timestamp(unit, Some(own)), Date32) if own != zone => {
            Some(cast(cast(value(), Timestamp(*unit, Some(Arc::clone(zone)))), Date32))
        }
        (Timestamp(_, Some(_)), Timestamp(_, None)) => {
            let local = call(AtTimeZone, vec![lit(zone.as_ref()), cast(value(), moments())]);
            Some(if *target == local_type() { local } else { cast(local, target.clone()) })
        }
        // The planner reads a local time in the target's zone, which for a column of a table is UTC.
        (Timestamp(_, None), Timestamp(_, Some(own))) if own != zone => {
            let moment = call(AtTimeZone, vec![lit(zone.as_ref()), cast(value(), local_type())]);
            Some(if *target == moments() { moment } else { cast(moment, target.clone()) })
        }
        (Utf8 | Utf8View | LargeUtf8, target) if parse::has_own_form(target) => {
            Some(call(Parse { target: target.clone(), zone: Arc::clone(zone) }, vec![value()]))
        }
        (source, Utf8 | Utf8View | LargeUtf8) if text::has_own_form(source) => {
            let text = call(ToText { zone: Arc::clone(zone) }, vec![value()]);
            Some(if *target == Utf8 { text } else { cast(text, target.clone()) })
        }
        _ => None,
    }
}

fn moments() -> DataType {
    DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

fn local_type() -> DataType {
    DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None)
}

/// A moment's parts are those of the session's zone, whatever zone its column is stored in.
fn local_parts(function: &ScalarFunction, schema: &DFSchema, zone: &Arc<str>) -> Option<Expr> {
    let position = match function.name() {
        "date_part" | "date_trunc" => 1,
        "to_char" => 0,
        _ => return None,
    };
    let moment = function.args.get(position)?;
    let DataType::Timestamp(unit, Some(own)) = moment.get_type(schema).ok()? else { return None };
    if own == *zone {
        return None;
    }
    let mut arguments = function.args.clone();
    *arguments.get_mut(position)? = cast(moment.clone(), DataType::Timestamp(unit, Some(Arc::clone(zone))));
    let local = Arc::clone(&function.func).call(arguments);
    let truncated = function.name() == "date_trunc";
    Some(if truncated { cast(local, DataType::Timestamp(unit, Some(own))) } else { local })
}

/// `x > ANY (SELECT x FROM t)` under another `t`: the planner would compare the inner column with itself.
fn renamed_subquery(comparison: &SetComparison, schema: &DFSchema) -> Option<Expr> {
    let plan = &comparison.subquery.subquery;
    let inner = Column::from(plan.schema().iter().next()?);
    if !schema.has_column(&inner) {
        return None;
    }
    let renamed = LogicalPlanBuilder::from(plan.as_ref().clone()).alias("__set").ok()?.build().ok()?;
    let subquery = Subquery { subquery: Arc::new(renamed), ..comparison.subquery.clone() };
    Some(Expr::SetComparison(SetComparison { subquery, ..comparison.clone() }))
}
