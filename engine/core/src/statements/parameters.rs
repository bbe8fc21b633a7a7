//! Types of `$1`, `$2`, ...: as the client declared, else as the statement's shape tells, else text.
//!
//! The planner types a parameter by what it is compared with. PostgreSQL's clients also rely on `$1::type`, on `LIMIT
//! $1` and on the arguments of functions, so those are looked at here.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result as PlanResult};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use crate::error::{Error, Kind, Result};

/// PostgreSQL's protocol counts parameters in 16 bits.
const PARAMETERS_MAX: usize = u16::MAX as usize;

/// One type for each parameter up to the highest that is used or declared.
pub(super) fn parameter_types(plan: &LogicalPlan, declared: &[Option<DataType>]) -> Result<Vec<DataType>> {
    parameter_types_of([plan], declared)
}

/// The same for a statement of several plans.
pub(super) fn parameter_types_of<'a>(
    plans: impl IntoIterator<Item = &'a LogicalPlan>,
    declared: &[Option<DataType>],
) -> Result<Vec<DataType>> {
    let mut found = Found::default();
    for plan in plans {
        plan.apply_with_subqueries(|node| found.look_at(node))?;
    }
    let mut inferred = BTreeMap::new();
    for (name, data_type) in found.types {
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        match number {
            Some(number) if (1..=PARAMETERS_MAX).contains(&number) => inferred.insert(number, data_type),
            _ => return Err(Error::new(Kind::UndefinedParameter, format!("there is no parameter {name}"))),
        };
    }
    let count = inferred.keys().copied().max().unwrap_or(0).max(declared.len());
    let of = |number: usize| {
        let told = declared.get(number - 1).cloned().flatten();
        told.or_else(|| inferred.get(&number).cloned().flatten()).filter(|data_type| *data_type != DataType::Null)
    };
    Ok((1..=count).map(|number| of(number).unwrap_or(DataType::Utf8)).collect())
}

/// Parameters by name. The first place that tells a type wins; all others cast to what they need.
#[derive(Default)]
struct Found {
    types: BTreeMap<String, Option<DataType>>,
}

impl Found {
    fn look_at(&mut self, plan: &LogicalPlan) -> PlanResult<TreeNodeRecursion> {
        if let LogicalPlan::Limit(limit) = plan {
            for count in limit.skip.iter().chain(&limit.fetch) {
                self.wants(count, &DataType::Int64);
            }
        }
        let schema = merge_schema(&plan.inputs());
        plan.apply_expressions(|expression| {
            expression.apply(|expression| {
                match expression {
                    Expr::Placeholder(placeholder) => {
                        let known = placeholder.field.as_ref().map(|field| field.data_type().clone());
                        self.note(&placeholder.id, known);
                    }
                    Expr::Cast(cast) => self.wants(&cast.expr, cast.field.data_type()),
                    Expr::TryCast(cast) => self.wants(&cast.expr, cast.field.data_type()),
                    Expr::ScalarFunction(call) if call.args.iter().any(is_untyped) => {
                        self.argument_types(call, &schema)
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    }

    fn note(&mut self, name: &str, data_type: Option<DataType>) {
        let known = self.types.entry(name.to_string()).or_default();
        if known.is_none() {
            *known = data_type;
        }
    }

    /// `expression` stands where values of `data_type` are asked for.
    fn wants(&mut self, expression: &Expr, data_type: &DataType) {
        if let Expr::Placeholder(placeholder) = expression
            && placeholder.field.is_none()
        {
            self.note(&placeholder.id, Some(data_type.clone()));
        }
    }

    /// What our functions say themselves, and what others make of NULLs in the places of their untyped arguments.
    fn argument_types(&mut self, call: &ScalarFunction, schema: &DFSchema) {
        let known: Vec<FieldRef> = call.args.iter().map(|argument| field_of(argument, schema)).collect();
        let coerced = fields_with_udf(&known, call.func.as_ref()).unwrap_or(known);
        for (position, (argument, coerced)) in call.args.iter().zip(coerced).enumerate() {
            match alluvia_udfs::parameter_type(call.name(), position) {
                Some(data_type) => self.wants(argument, &data_type),
                None if *coerced.data_type() != DataType::Null => self.wants(argument, coerced.data_type()),
                None => {}
            }
        }
    }
}

fn is_untyped(expression: &Expr) -> bool {
    matches!(expression, Expr::Placeholder(placeholder) if placeholder.field.is_none())
}

fn field_of(argument: &Expr, schema: &DFSchema) -> FieldRef {
    let data_type = if is_untyped(argument) { None } else { argument.get_type(schema).ok() };
    Arc::new(Field::new("argument", data_type.unwrap_or(DataType::Null), true))
}
