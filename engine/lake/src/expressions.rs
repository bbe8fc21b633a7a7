//! The SQL that a Delta log keeps (checks, invariants, generation expressions), made into expressions over rows.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::execution::SessionState;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast::{Expr, Ident, visit_expressions, visit_expressions_mut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use deltalake::delta_datafusion::expr::parse_predicate_expression;

use crate::error::{Error, Result};

/// Compiles `sql` over rows of `schema`. Columns are found without regard to case, as Delta does.
///
/// # Errors
/// [`Error::UnsupportedFeature`] when the engine can't evaluate the expression: then nothing may be written, since
/// the constraint couldn't be kept. Expressions of other engines may call functions that this one lacks.
pub(crate) fn compile(sql: &str, schema: &Schema, session: &SessionState) -> Result<Arc<dyn PhysicalExpr>> {
    let unsupported = |reason: String| Error::UnsupportedFeature {
        name: format!("the expression {sql} in the table's metadata ({reason})"),
    };
    let resolved = resolve_columns(sql, schema).map_err(&unsupported)?;
    let rows = DFSchema::try_from(schema.clone()).map_err(|error| unsupported(error.to_string()))?;
    let expression =
        parse_predicate_expression(&rows, resolved, session).map_err(|error| unsupported(error.to_string()))?;
    session.create_physical_expr(expression, &rows).map_err(|error| unsupported(error.to_string()))
}

/// Whether `sql` may refer to `column`; what can't be parsed may.
pub(crate) fn mentions(sql: &str, column: &str) -> bool {
    let dialect = GenericDialect {};
    let Ok(expression) = Parser::new(&dialect).try_with_sql(sql).and_then(|mut parser| parser.parse_expr()) else {
        return true;
    };
    let named = |ident: &Ident| ident.value.to_lowercase() == column.to_lowercase();
    let found = visit_expressions(&expression, |expression| match expression {
        Expr::Identifier(ident) if named(ident) => ControlFlow::Break(()),
        Expr::CompoundIdentifier(parts) if parts.iter().any(named) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Writes every column of `sql` as the schema spells it, quoted.
fn resolve_columns(sql: &str, schema: &Schema) -> Result<String, String> {
    let dialect = GenericDialect {};
    let mut expression = Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|error| error.to_string())?;
    let _ = visit_expressions_mut(&mut expression, |expression| {
        match expression {
            Expr::Identifier(column) => respell(column, schema),
            Expr::CompoundIdentifier(parts) => {
                if let Some(column) = parts.first_mut() {
                    respell(column, schema);
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(expression.to_string())
}

fn respell(column: &mut Ident, schema: &Schema) {
    let names = || schema.fields().iter().map(|field| field.name());
    let spelled = names()
        .find(|name| **name == column.value)
        .or_else(|| names().find(|name| name.to_lowercase() == column.value.to_lowercase()));
    if let Some(name) = spelled {
        *column = Ident::with_quote('"', name);
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn columns_are_spelled_as_the_schema_does() {
        let schema =
            Schema::new(vec![Field::new("eventTime", DataType::Int64, true), Field::new("a b", DataType::Int64, true)]);
        let resolve = |sql| resolve_columns(sql, &schema).unwrap();
        assert_eq!(resolve("EVENTTIME > 0 AND abs(`a b`) < 3"), "\"eventTime\" > 0 AND abs(\"a b\") < 3");
        assert_eq!(resolve("eventtime IN (1, 2)"), "\"eventTime\" IN (1, 2)");
        assert!(resolve_columns("a >", &schema).is_err());
    }
}
