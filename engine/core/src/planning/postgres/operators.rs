//! Operators whose meaning depends on their operands' types, decided while a statement is planned.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions_nested::expr_fn::array_has_any;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::call;
use super::divide::Divide;
use super::intervals::Scale;

#[derive(Debug)]
pub(crate) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        // A parameter's type may not be known yet.
        let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        let raw = typed_literals(raw, &left, &right);
        let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        let interval = |data_type: &DataType| matches!(data_type, DataType::Interval(_));
        let planned = match &raw.op {
            BinaryOperator::Divide if numeric(&left, &right) => call(Divide, vec![raw.left, raw.right]),
            BinaryOperator::Multiply if interval(&left) && right.is_numeric() => {
                call(Scale::Multiply, vec![span(raw.left), raw.right])
            }
            BinaryOperator::Multiply if left.is_numeric() && interval(&right) => {
                call(Scale::Multiply, vec![span(raw.right), raw.left])
            }
            BinaryOperator::Divide if interval(&left) && right.is_numeric() => {
                call(Scale::Divide, vec![span(raw.left), raw.right])
            }
            // A date has no hours to add to; the sum is a timestamp.
            BinaryOperator::Plus | BinaryOperator::Minus if left == DataType::Date32 && interval(&right) => {
                let left = cast(raw.left, DataType::Timestamp(TimeUnit::Microsecond, None));
                return Ok(PlannerResult::Original(RawBinaryExpr { left, ..raw }));
            }
            BinaryOperator::Plus if interval(&left) && right == DataType::Date32 => {
                let right = cast(raw.right, DataType::Timestamp(TimeUnit::Microsecond, None));
                return Ok(PlannerResult::Original(RawBinaryExpr { right, ..raw }));
            }
            operator if is_comparison(operator) => match (&left, &right) {
                // The planner would go by nanoseconds, in which the year 9999 doesn't fit.
                (DataType::Date32, DataType::Timestamp(..)) => {
                    return Ok(PlannerResult::Original(RawBinaryExpr { left: midnight(raw.left, right), ..raw }));
                }
                (DataType::Timestamp(..), DataType::Date32) => {
                    return Ok(PlannerResult::Original(RawBinaryExpr { right: midnight(raw.right, left), ..raw }));
                }
                _ => return Ok(PlannerResult::Original(raw)),
            },
            BinaryOperator::PGOverlap if list(&left) && list(&right) => array_has_any(raw.left, raw.right),
            _ => return Ok(PlannerResult::Original(raw)),
        };
        Ok(PlannerResult::Planned(planned))
    }
}

fn is_comparison(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// A date as the beginning of its day.
fn midnight(date: Expr, timestamp: DataType) -> Expr {
    let local = cast(date, DataType::Timestamp(TimeUnit::Microsecond, None));
    match timestamp {
        DataType::Timestamp(_, Some(zone)) => cast(local, DataType::Timestamp(TimeUnit::Microsecond, Some(zone))),
        _ => local,
    }
}

/// Whether the quotient is a `numeric`: one operand is, and none is a floating-point number.
fn numeric(left: &DataType, right: &DataType) -> bool {
    let exact = |data_type: &DataType| data_type.is_integer() || narrow_decimal(data_type);
    exact(left) && exact(right) && (narrow_decimal(left) || narrow_decimal(right))
}

fn narrow_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..))
}

fn list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

fn span(interval: Expr) -> Expr {
    cast(interval, DataType::Interval(IntervalUnit::MonthDayNano))
}

/// `1 + '2'`: a literal in quotes takes the type of the number it meets.
fn typed_literals(raw: RawBinaryExpr, left: &DataType, right: &DataType) -> RawBinaryExpr {
    let arithmetic = matches!(
        raw.op,
        BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
    );
    if !arithmetic {
        return raw;
    }
    let RawBinaryExpr { op, left: left_side, right: right_side } = raw;
    let text = |expression: &Expr| matches!(expression, Expr::Literal(ScalarValue::Utf8(Some(_)), _));
    if text(&right_side) && left.is_numeric() {
        return RawBinaryExpr { op, left: left_side, right: cast(right_side, left.clone()) };
    }
    if text(&left_side) && right.is_numeric() {
        return RawBinaryExpr { op, left: cast(left_side, right.clone()), right: right_side };
    }
    RawBinaryExpr { op, left: left_side, right: right_side }
}
