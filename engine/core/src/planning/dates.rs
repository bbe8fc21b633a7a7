//! Comparisons of a date with a timestamp: the date is compared with the day that the timestamp falls on.
//!
//! A date plus an interval is a timestamp, so that `day < DATE '1994-01-01' + INTERVAL '1 year'` casts every row's date.
//! Compared as dates, no row is cast, and bounds of files and pages tell which of them can hold such rows.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

const DAY_SECONDS: i64 = 86_400;

/// Replaces the comparisons in all nodes of a plan.
#[derive(Debug)]
pub(super) struct DatesAsDates;

impl OptimizerRule for DatesAsDates {
    fn name(&self) -> &str {
        "dates_as_dates"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let schema = match &plan {
            LogicalPlan::TableScan(scan) => {
                DFSchema::try_from_qualified_schema(scan.table_name.clone(), scan.source.schema().as_ref())?
            }
            LogicalPlan::Filter(filter) => filter.input.schema().as_ref().clone(),
            _ => return Ok(Transformed::no(plan)),
        };
        plan.map_expressions(|expression| {
            expression.transform_up(|expression| {
                Ok(match as_dates(&expression, &schema) {
                    Some(compared) => Transformed::yes(compared),
                    None => Transformed::no(expression),
                })
            })
        })
    }
}

/// The same comparison on dates; none when it isn't one of a date with a timestamp that is known.
fn as_dates(expression: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expression else { return None };
    let (cast, operator, literal) = match (left.as_ref(), right.as_ref()) {
        (Expr::Cast(cast), Expr::Literal(literal, _)) => (cast, *op, literal),
        (Expr::Literal(literal, _), Expr::Cast(cast)) => (cast, op.swap()?, literal),
        _ => return None,
    };
    let date = date_of(cast, schema)?;
    let (day, midnight) = day_of(literal)?;
    let operator = match (operator, midnight) {
        (Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq | Operator::Eq | Operator::NotEq, true) => {
            operator
        }
        (Operator::Lt | Operator::LtEq, false) => Operator::LtEq,
        (Operator::Gt | Operator::GtEq, false) => Operator::Gt,
        _ => return None,
    };
    let day = Expr::Literal(ScalarValue::Date32(Some(day)), None);
    Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(date.clone()), operator, Box::new(day))))
}

/// What a cast makes a timestamp without a zone of, when that is a date.
fn date_of<'a>(cast: &'a Cast, schema: &DFSchema) -> Option<&'a Expr> {
    let to_timestamp = matches!(cast.field.data_type(), DataType::Timestamp(_, None));
    let is_date = cast.expr.get_type(schema).is_ok_and(|from| from == DataType::Date32);
    (to_timestamp && is_date).then_some(cast.expr.as_ref())
}

/// The day that a timestamp without a zone falls on, and whether it is that day's first moment.
fn day_of(literal: &ScalarValue) -> Option<(i32, bool)> {
    let (value, unit) = match literal {
        ScalarValue::TimestampSecond(Some(value), None) => (*value, TimeUnit::Second),
        ScalarValue::TimestampMillisecond(Some(value), None) => (*value, TimeUnit::Millisecond),
        ScalarValue::TimestampMicrosecond(Some(value), None) => (*value, TimeUnit::Microsecond),
        ScalarValue::TimestampNanosecond(Some(value), None) => (*value, TimeUnit::Nanosecond),
        _ => return None,
    };
    let of_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let of_day = DAY_SECONDS * of_second;
    Some((i32::try_from(value.div_euclid(of_day)).ok()?, value.rem_euclid(of_day) == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_fall_on_days() {
        let hour = 3_600_000_000;
        for (micros, expected) in [
            (0, (0, true)),
            (hour, (0, false)),
            (24 * hour, (1, true)),
            (-1, (-1, false)),
            (-24 * hour, (-1, true)),
            (-25 * hour, (-2, false)),
        ] {
            assert_eq!(day_of(&ScalarValue::TimestampMicrosecond(Some(micros), None)), Some(expected), "{micros}");
        }
        assert_eq!(day_of(&ScalarValue::TimestampMicrosecond(None, None)), None);
        assert_eq!(day_of(&ScalarValue::TimestampMicrosecond(Some(0), Some("UTC".into()))), None);
    }
}
