//! Trees of queries that statements ask on their own behalf.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select,
    SelectFlavor, SelectItem, SetExpr, Statement, TableAlias, TableFactor, TableWithJoins, Value,
    WildcardAdditionalOptions, With,
};

pub(crate) fn star() -> SelectItem {
    SelectItem::Wildcard(WildcardAdditionalOptions::default())
}

pub(crate) fn item(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) }
}

pub(crate) fn column(table: &Ident, name: &str) -> Expr {
    Expr::CompoundIdentifier(vec![table.clone(), Ident::with_quote('"', name)])
}

pub(crate) fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

pub(crate) fn boolean(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).into())
}

pub(crate) fn number(value: usize) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

pub(crate) fn and(left: Expr, right: Expr) -> Expr {
    let nested = |expression| Box::new(Expr::Nested(Box::new(expression)));
    Expr::BinaryOp { left: nested(left), op: BinaryOperator::And, right: nested(right) }
}

/// `CASE WHEN ... THEN ... END`; nothing but `otherwise` when there are no branches.
pub(crate) fn case(branches: Vec<(Expr, Expr)>, otherwise: Expr) -> Expr {
    if branches.is_empty() {
        return otherwise;
    }
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: branches.into_iter().map(|(condition, result)| CaseWhen { condition, result }).collect(),
        else_result: Some(Box::new(otherwise)),
    }
}

/// A table under the name by which expressions know it.
pub(crate) fn table(name: ObjectName, known_as: &Ident) -> TableFactor {
    TableFactor::Table {
        name,
        alias: Some(alias(known_as)),
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }
}

pub(crate) fn alias(name: &Ident) -> TableAlias {
    TableAlias { explicit: true, name: name.clone(), columns: vec![], at: None }
}

pub(crate) fn from(relation: TableFactor) -> TableWithJoins {
    TableWithJoins { relation, joins: vec![] }
}

pub(crate) fn inner_join(left: TableFactor, right: TableFactor, on: Expr) -> TableWithJoins {
    joined(left, right, JoinOperator::Inner(JoinConstraint::On(on)))
}

/// All rows of `left`.
pub(crate) fn left_join(left: TableFactor, right: TableFactor, on: Expr) -> TableWithJoins {
    joined(left, right, JoinOperator::Left(JoinConstraint::On(on)))
}

fn joined(left: TableFactor, relation: TableFactor, join_operator: JoinOperator) -> TableWithJoins {
    TableWithJoins { relation: left, joins: vec![Join { relation, global: false, join_operator }] }
}

pub(crate) fn select(
    with: Option<&With>,
    projection: Vec<SelectItem>,
    from: TableWithJoins,
    selection: Option<Expr>,
) -> Statement {
    let select = Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: vec![],
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from: vec![from],
        lateral_views: vec![],
        prewhere: None,
        selection,
        connect_by: vec![],
        group_by: GroupByExpr::Expressions(vec![], vec![]),
        cluster_by: vec![],
        distribute_by: vec![],
        sort_by: vec![],
        having: None,
        named_window: vec![],
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    };
    Statement::Query(Box::new(Query {
        with: with.cloned(),
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: vec![],
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: vec![],
    }))
}
