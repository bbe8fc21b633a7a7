//! PostgreSQL's names for a result's columns: `count` for `count(*)`, `?column?` for `1 + 1`; twice the same name is
//! allowed. The planner wants distinct names, so each unnamed expression of the outermost SELECT gets an alias that
//! nobody else has, and the client sees the name kept here.

use std::collections::HashSet;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, TrimWhereField,
};

/// Names by position; columns of a wildcard, if there is one, lie between the two lists and keep their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputNames {
    from_left: Vec<Option<String>>,
    from_right: Vec<Option<String>>,
}

impl OutputNames {
    /// The schema with the client's names.
    pub fn apply(&self, schema: &SchemaRef) -> SchemaRef {
        let width = schema.fields().len();
        if width < self.from_left.len() + self.from_right.len() {
            return SchemaRef::clone(schema);
        }
        let name = |index: usize| match self.from_left.get(index) {
            Some(name) => name.as_ref(),
            None => self.from_right.get((index + self.from_right.len()).checked_sub(width)?)?.as_ref(),
        };
        let rename = |(index, field): (usize, &std::sync::Arc<Field>)| match name(index) {
            Some(name) => std::sync::Arc::new(field.as_ref().clone().with_name(name)),
            None => std::sync::Arc::clone(field),
        };
        let fields: Vec<_> = schema.fields().iter().enumerate().map(rename).collect();
        SchemaRef::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
    }
}

/// The query whose columns a client, or a new table, is to see.
pub(super) fn named_query(statement: &mut Statement) -> Option<&mut Query> {
    match statement {
        Statement::Query(query) => Some(query),
        Statement::CreateTable(table) => table.query.as_deref_mut(),
        _ => None,
    }
}

/// Gives the planner distinct names; `None` when there is nothing to rename.
pub(crate) fn name_outputs(query: &mut Query) -> Option<OutputNames> {
    let select = leftmost_select(&mut query.body)?;
    let mut names = OutputNames::default();
    let mut taken = HashSet::new();
    let mut renamed: Vec<(String, String)> = vec![];
    let mut wildcard_seen = false;
    for (index, item) in select.projection.iter_mut().enumerate() {
        let name = match item {
            SelectItem::Wildcard(_)
            | SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), _) => {
                if wildcard_seen {
                    // Two wildcards: positions can't be told apart, so names after the first keep the planner's.
                    return None;
                }
                wildcard_seen = true;
                continue;
            }
            item => shown_name(item, index, &mut taken, &mut renamed),
        };
        if wildcard_seen { names.from_right.push(name) } else { names.from_left.push(name) }
    }
    rename_order_by(query, &renamed);
    let any = names.from_left.iter().chain(&names.from_right).any(Option::is_some);
    any.then_some(names)
}

fn leftmost_select(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { left, .. } => leftmost_select(left),
        SetExpr::Query(query) => leftmost_select(&mut query.body),
        _ => None,
    }
}

/// The client's name for an item, where the planner's must differ; the item then carries an alias of its own.
fn shown_name(
    item: &mut SelectItem,
    index: usize,
    taken: &mut HashSet<String>,
    renamed: &mut Vec<(String, String)>,
) -> Option<String> {
    let own = format!("__alluvia_column_{index}");
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) if !super::forms::is_bare_call(ident) => {
            let name = folded(ident);
            if taken.insert(name.clone()) {
                return None;
            }
            *item = aliased(item, &own)?;
            Some(name)
        }
        // Qualified columns are distinct for the planner even under one name.
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(_)) => None,
        SelectItem::UnnamedExpr(expression) => {
            let name = implicit_name(expression);
            renamed.push((name.clone(), own.clone()));
            *item = aliased(item, &own)?;
            Some(name)
        }
        SelectItem::ExprWithAlias { alias, .. } => {
            let name = folded(alias);
            if taken.insert(name.clone()) {
                return None;
            }
            *alias = Ident::new(own);
            Some(name)
        }
        _ => None,
    }
}

fn aliased(item: &SelectItem, alias: &str) -> Option<SelectItem> {
    match item {
        SelectItem::UnnamedExpr(expression) => {
            Some(SelectItem::ExprWithAlias { expr: expression.clone(), alias: Ident::new(alias) })
        }
        _ => None,
    }
}

/// FigureColname of PostgreSQL's parse_target.c, for the expressions there are here.
fn implicit_name(expression: &Expr) -> String {
    let name = match expression {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        Expr::Function(function) => function.name.0.last().and_then(|part| part.as_ident()).map(folded),
        Expr::Nested(inner) => Some(implicit_name(inner)),
        Expr::Cast { expr, data_type, .. } => match expr.as_ref() {
            // A type's name is the weakest: that of the outermost cast stands.
            Expr::Cast { .. } | Expr::TypedString(_) | Expr::Interval(_) if named_by_type(expr) => {
                Some(type_name(&data_type.to_string()))
            }
            _ => match implicit_name(expr) {
                name if name == "?column?" => Some(type_name(&data_type.to_string())),
                name => Some(name),
            },
        },
        Expr::Case { else_result, .. } => match else_result.as_deref().map(implicit_name) {
            Some(name) if name != "?column?" => Some(name),
            _ => Some("case".to_string()),
        },
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Value(field))) => {
                field.value.clone().into_string().map(|name| name.to_lowercase())
            }
            _ => Some(implicit_name(root)),
        },
        Expr::Array(_) => Some("array".to_string()),
        Expr::Exists { .. } => Some("exists".to_string()),
        Expr::Extract { .. } => Some("extract".to_string()),
        Expr::Substring { .. } => Some("substring".to_string()),
        Expr::Position { .. } => Some("position".to_string()),
        Expr::Trim { trim_where, .. } => match trim_where {
            Some(TrimWhereField::Leading) => Some("ltrim".to_string()),
            Some(TrimWhereField::Trailing) => Some("rtrim".to_string()),
            _ => Some("btrim".to_string()),
        },
        Expr::Ceil { .. } => Some("ceil".to_string()),
        Expr::Floor { .. } => Some("floor".to_string()),
        Expr::Overlay { .. } => Some("overlay".to_string()),
        Expr::AtTimeZone { .. } => Some("timezone".to_string()),
        Expr::Collate { expr, .. } => Some(implicit_name(expr)),
        // `INTERVAL '1 day'::text` is read as a cast inside the interval.
        Expr::Interval(interval) if matches!(*interval.value, Expr::Cast { .. }) => {
            Some(implicit_name(&interval.value))
        }
        Expr::Interval(_) => Some("interval".to_string()),
        Expr::TypedString(typed) => Some(type_name(&typed.data_type.to_string())),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expression)) => Some(implicit_name(expression)),
                Some(SelectItem::ExprWithAlias { alias, .. }) => Some(folded(alias)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    name.unwrap_or_else(|| "?column?".to_string())
}

/// Whether nothing but a type names an expression.
fn named_by_type(expression: &Expr) -> bool {
    match expression {
        Expr::Cast { expr, .. } => implicit_name(expr) == "?column?" || named_by_type(expr),
        Expr::Nested(inner) => named_by_type(inner),
        Expr::TypedString(_) | Expr::Interval(_) => true,
        _ => false,
    }
}

fn type_name(spelled: &str) -> String {
    // An array has its elements' name.
    let spelled = spelled.trim_end_matches("[]");
    let word = spelled.split(['(', ' ']).next().unwrap_or(spelled).to_lowercase();
    match word.as_str() {
        "int" | "integer" => "int4".to_string(),
        "bigint" => "int8".to_string(),
        "smallint" => "int2".to_string(),
        "real" => "float4".to_string(),
        "double" => "float8".to_string(),
        "boolean" => "bool".to_string(),
        "decimal" => "numeric".to_string(),
        "character" if spelled.to_lowercase().contains("varying") => "varchar".to_string(),
        "char" | "character" => "bpchar".to_string(),
        "timestamp" if spelled.to_lowercase().contains("with time zone") => "timestamptz".to_string(),
        _ => word,
    }
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// `ORDER BY count` means the output column, which now has our alias.
fn rename_order_by(query: &mut Query, renamed: &[(String, String)]) {
    let Some(order_by) = &mut query.order_by else { return };
    let OrderByKind::Expressions(expressions) = &mut order_by.kind else { return };
    for item in expressions {
        if let Expr::Identifier(ident) = &mut item.expr {
            let name = folded(ident);
            let mut matching = renamed.iter().filter(|(shown, _)| *shown == name);
            if let (Some((_, own)), None) = (matching.next(), matching.next()) {
                *ident = Ident::new(own.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::parse;
    use arrow::datatypes::DataType;

    fn check(sql: &str, planner_width: usize, expected: &[&str]) {
        let statement = parse(sql).unwrap().remove(0);
        let fields: Vec<_> = (0..planner_width).map(|i| Field::new(format!("p{i}"), DataType::Int32, true)).collect();
        let schema = SchemaRef::new(Schema::new(fields));
        let shown = statement.names.map_or_else(|| schema.clone(), |names| names.apply(&schema));
        let shown: Vec<_> = shown.fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(shown, expected, "{sql}");
    }

    #[test]
    fn unnamed_columns_have_postgres_names() {
        check("SELECT 1, count(*), a.b, x::int, 'a'::text", 5, &["?column?", "count", "p2", "x", "text"]);
        check("SELECT 1, *, 2", 5, &["?column?", "p1", "p2", "p3", "?column?"]);
        check("SELECT a AS x, b AS x", 2, &["p0", "x"]);
        check("SELECT (f(1)).y, CASE WHEN true THEN 1 END", 2, &["y", "case"]);
        check("SELECT 1 UNION ALL SELECT 2", 1, &["?column?"]);
    }
}
