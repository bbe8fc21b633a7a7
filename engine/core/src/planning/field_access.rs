//! `(ai_query(...)).errorMessage`: fields of a struct are found without regard to case, because unquoted names arrive
//! in lower case while result structs use the spelling that users know from elsewhere.

use arrow::datatypes::DataType;
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
        {
            let mut matching = fields.iter().filter(|field| field.name().eq_ignore_ascii_case(name));
            if let (Some(field), None) = (matching.next(), matching.next()) {
                return Ok(PlannerResult::Planned(get_field(access.expr, field.name().as_str())));
            }
        }
        Ok(PlannerResult::Original(access))
    }
}
