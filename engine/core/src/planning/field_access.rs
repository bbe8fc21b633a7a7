//! `(ai_query(...)).errorMessage`: fields of a struct are found without regard to case, because unquoted names arrive
//! in lower case while result structs use the spelling that users know from elsewhere. `response` is another name for
//! the result of a call that may not fail.

use alluvia_udfs::error_struct;
use alluvia_udfs::model::{RESULT_FIELD, RESULT_FIELD_ALIAS};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::expr_fn::get_field;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{ExprSchemable, GetFieldAccess};

#[derive(Debug)]
pub(super) struct FieldsWithoutCase;

impl ExprPlanner for FieldsWithoutCase {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        if let GetFieldAccess::NamedStructField { name: ScalarValue::Utf8(Some(name)) } = &access.field_access
            && let Ok(DataType::Struct(fields)) = access.expr.get_type(schema)
            && fields.iter().all(|field| field.name() != name)
            && let Some(field) = only_match(&fields, name).or_else(|| result_field(&fields, name))
        {
            return Ok(PlannerResult::Planned(get_field(access.expr, field.name().as_str())));
        }
        Ok(PlannerResult::Original(access))
    }
}

fn only_match<'f>(fields: &'f Fields, name: &str) -> Option<&'f Field> {
    let mut matching = fields.iter().filter(|field| field.name().eq_ignore_ascii_case(name));
    match (matching.next(), matching.next()) {
        (Some(field), None) => Some(field),
        _ => None,
    }
}

/// The result in a struct that has the names of [`error_struct`], asked for by its other name.
fn result_field<'f>(fields: &'f Fields, name: &str) -> Option<&'f Field> {
    let result = fields.iter().find(|field| field.name() == RESULT_FIELD)?;
    let DataType::Struct(known) = error_struct(result.data_type().clone()) else { return None };
    let names = |fields: &Fields| fields.iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let alias = name.eq_ignore_ascii_case(RESULT_FIELD_ALIAS);
    (alias && names(fields) == names(&known)).then_some(result.as_ref())
}
