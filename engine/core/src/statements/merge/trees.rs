//! Trees of the queries that a MERGE asks.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select,
    SelectFlavor, SelectItem, SetExpr, Statement, TableAlias, TableFactor, TableWithJoins, Value,
    WildcardAdditionalOptions,
};

pub(super) fn star() -> SelectItem {
    SelectItem::Wildcard(WildcardAdditionalOptions::default())
}

pub(super) fn item(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) }
}

pub(super) fn column(table: &Ident, name: &str) -> Expr {
    Expr::CompoundIdentifier(vec![table.clone(), Ident::with_quote('"', name)])
}

pub(super) fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

pub(super) fn boolean(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).into())
}

pub(super) fn number(value: usize) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

pub(super) fn and(left: Expr, right: Expr) -> Expr {
    let nested = |expression| Box::new(Expr::Nested(Box::new(expression)));
    Expr::BinaryOp { left: nested(left), op: BinaryOperator::And, right: nested(right) }
}

/// `CASE WHEN ... THEN ... END`; nothing but `otherwise` when there are no branches.
pub(super) fn case(branches: Vec<(Expr, Expr)>, otherwise: Expr) -> Expr {
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
pub(super) fn table(name: ObjectName, known_as: &Ident) -> TableFactor {
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

pub(super) fn alias(name: &Ident) -> TableAlias {
    TableAlias { explicit: true, name: name.clone(), columns: vec![], at: None }
}

pub(super) fn from(relation: TableFactor) -> TableWithJoins {
    TableWithJoins { relation, joins: vec![] }
}

pub(super) fn inner_join(left: TableFactor, right: TableFactor, on: Expr) -> TableWithJoins {
    joined(left, right, JoinOperator::Inner(JoinConstraint::On(on)))
}

/// All rows of `left`.
pub(super) fn left_join(left: TableFactor, right: TableFactor, on: Expr) -> TableWithJoins {
    joined(left, right, JoinOperator::Left(JoinConstraint::On(on)))
}

fn joined(left: TableFactor, relation: TableFactor, join_operator: JoinOperator) -> TableWithJoins {
    TableWithJoins { relation: left, joins: vec![Join { relation, global: false, join_operator }] }
}

pub(super) fn select(projection: Vec<SelectItem>, from: TableWithJoins, selection: Option<Expr>) -> Statement {
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
        with: None,
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
