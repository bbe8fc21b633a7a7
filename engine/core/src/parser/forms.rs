//! PostgreSQL's forms that the planner doesn't know, or reads otherwise, put into those that it knows. This happens
//! after the result's columns got their names, so that they keep those of what was written.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CharacterLength, DataType, DateTimeField, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, JoinConstraint, JoinOperator, LimitClause,
    ObjectName, ObjectNamePart, Query, Select, Statement, TableAlias, TableAliasColumnDef, TableFactor, TimezoneInfo,
    TypedString, UnaryOperator, Value, VisitMut, VisitorMut, visit_expressions_mut,
};

use super::patterns;
use crate::error::{Error, Result};

pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Forms) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Forms;

const SERIES: &str = "generate_series";

impl VisitorMut for Forms {
    type Break = Error;

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<Error> {
        flow(explain_options(statement))
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        flow(fetch_as_limit(query))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let joins = select.from.iter().flat_map(|from| &from.joins);
        flow(joins.map(|join| &join.join_operator).try_for_each(check_join))
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        name_column(factor);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if let TableFactor::Table { name, args: Some(arguments), .. } = factor
            && name
                .0
                .last()
                .and_then(ObjectNamePart::as_ident)
                .is_some_and(|name| name.value.eq_ignore_ascii_case(SERIES))
        {
            // The planner's own takes timestamps to the nanosecond only.
            let _ = visit_expressions_mut(&mut arguments.args, |expression| {
                if let Expr::Cast { data_type: DataType::Timestamp(precision @ None, _), .. }
                | Expr::TypedString(TypedString { data_type: DataType::Timestamp(precision @ None, _), .. }) =
                    expression
                {
                    *precision = Some(9);
                }
                ControlFlow::<()>::Continue(())
            });
        }
        ControlFlow::Continue(())
    }

    // Inner expressions come first, and what replaces an expression isn't visited again.
    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Error> {
        match replaced(expression) {
            Ok(Some(other)) => *expression = other,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn flow(result: Result<()>) -> ControlFlow<Error> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// `EXPLAIN (ANALYZE, VERBOSE) ...` is `EXPLAIN ANALYZE VERBOSE ...`.
fn explain_options(statement: &mut Statement) -> Result<()> {
    let Statement::Explain { options, analyze, verbose, .. } = statement else { return Ok(()) };
    for option in options.take().unwrap_or_default() {
        let argument = option.arg.as_ref().map(|argument| argument.to_string().to_lowercase());
        let argument = argument.as_deref().map(|argument| argument.trim_matches('\''));
        let on = !matches!(argument, Some("off" | "false" | "0"));
        match option.name.value.to_lowercase().as_str() {
            "analyze" => *analyze = on,
            "verbose" => *verbose = on,
            "format" if argument == Some("text") => {}
            // They add to or leave out from PostgreSQL's own figures.
            "costs" | "buffers" | "timing" | "summary" | "settings" | "wal" => {}
            other => {
                return Err(Error::unsupported(format!("the option {} of EXPLAIN", other.to_uppercase()))
                    .with_hint("Supported are ANALYZE and VERBOSE."));
            }
        }
    }
    Ok(())
}

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
fn fetch_as_limit(query: &mut Query) -> Result<()> {
    let Some(fetch) = query.fetch.take() else { return Ok(()) };
    if fetch.with_ties || fetch.percent {
        return Err(Error::unsupported("FETCH FIRST with PERCENT or WITH TIES"));
    }
    let count = fetch.quantity.unwrap_or_else(|| number("1"));
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(count),
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(count), offset: None, limit_by: vec![] });
        }
        Some(_) => return Err(Error::unsupported("LIMIT beside FETCH")),
    }
    Ok(())
}

/// The planner shows the left table's column, which is NULL in the rows of the right table alone.
fn check_join(join: &JoinOperator) -> Result<()> {
    let (kind, constraint) = match join {
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => ("RIGHT JOIN", constraint),
        JoinOperator::FullOuter(constraint) => ("FULL JOIN", constraint),
        _ => return Ok(()),
    };
    match constraint {
        JoinConstraint::Using(_) | JoinConstraint::Natural => {
            Err(Error::unsupported(format!("{kind} with USING or NATURAL"))
                .with_hint("Write ON a.key = b.key, and COALESCE(a.key, b.key) for the key."))
        }
        _ => Ok(()),
    }
}

/// The column of `generate_series(...) AS n` and `unnest(...) AS n` is called `n` too.
fn name_column(factor: &mut TableFactor) {
    let (name, alias) = match factor {
        TableFactor::Table { name, alias, args: Some(_), .. } => match name.0.last().and_then(ObjectNamePart::as_ident)
        {
            Some(ident) if ident.value.eq_ignore_ascii_case(SERIES) => (SERIES, alias),
            _ => return,
        },
        TableFactor::UNNEST { alias, array_exprs, .. } if array_exprs.len() == 1 => ("unnest", alias),
        _ => return,
    };
    let alias =
        alias.get_or_insert_with(|| TableAlias { explicit: true, name: Ident::new(name), columns: vec![], at: None });
    if alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
    }
}

fn replaced(expression: &mut Expr) -> Result<Option<Expr>> {
    Ok(match expression {
        Expr::Cast { expr, data_type, kind, .. } => cut_to_length(expr, data_type, kind),
        Expr::Identifier(ident) if is_bare_call(ident) => match ident.value.to_lowercase().as_str() {
            "localtimestamp" => Some(cast(cast(call("now", vec![]), moments()), local_times())),
            name => Some(call(name, vec![])),
        },
        // pgvector's distances; the planner would take the first for an equality that knows NULL.
        Expr::BinaryOp { left, op: BinaryOperator::Spaceship, right } => {
            Some(call("cosine_distance", vec![left.as_ref().clone(), right.as_ref().clone()]))
        }
        Expr::BinaryOp { left, op: BinaryOperator::LtDashGt, right } => {
            Some(call("l2_distance", vec![left.as_ref().clone(), right.as_ref().clone()]))
        }
        Expr::AtTimeZone { timestamp, time_zone } => {
            Some(call("timezone", vec![time_zone.as_ref().clone(), timestamp.as_ref().clone()]))
        }
        Expr::Interval(interval) => match interval.value.as_mut() {
            // `INTERVAL '1 day'::text` is a cast of the interval.
            Expr::Cast { expr, data_type, .. } => {
                let (value, data_type) = (expr.clone(), data_type.clone());
                interval.value = value;
                super::calls::spell_interval(&mut interval.value);
                Some(cast(Expr::Interval(interval.clone()), data_type))
            }
            _ => None,
        },
        Expr::Extract { field: DateTimeField::Second | DateTimeField::Seconds, expr, .. } => {
            Some(cast(seconds(expr.as_ref().clone()), DataType::Numeric(ExactNumberInfo::PrecisionAndScale(8, 6))))
        }
        Expr::Collate { expr, collation } => match collation.to_string().trim_matches('"').to_lowercase().as_str() {
            // Text is always compared by its bytes.
            "c" | "posix" | "ucs_basic" | "default" | "pg_catalog.default" | "pg_catalog.\"default" => {
                Some(expr.as_ref().clone())
            }
            _ => {
                return Err(Error::unsupported(format!("the collation {collation}"))
                    .with_hint("Text is compared by its bytes, as COLLATE \"C\" does."));
            }
        },
        Expr::UnaryOp { op, expr } => unary(*op, expr),
        Expr::BinaryOp { left, op: BinaryOperator::PGStartsWith, right } => {
            Some(call("starts_with", vec![left.as_ref().clone(), right.as_ref().clone()]))
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            patterns::without_escape(pattern, escape_char)?;
            None
        }
        Expr::SimilarTo { pattern, escape_char, .. } => {
            patterns::similar_to_regex(pattern, escape_char)?;
            None
        }
        Expr::Value(value) => match &value.value {
            Value::UnicodeStringLiteral(text) => Some(text_literal(text)),
            // With an exponent it is an approximate number, as in standard SQL.
            Value::Number(digits, _) if digits.contains(['e', 'E']) => {
                Some(cast(text_literal(&digits.to_string()), DataType::DoublePrecision))
            }
            _ => None,
        },
        Expr::Function(function) => called(function)?,
        _ => None,
    })
}

/// Reserved words that are calls without parentheses, and that the parser takes for columns.
pub(super) fn is_bare_call(ident: &Ident) -> bool {
    ident.quote_style.is_none() && ["localtimestamp", "current_schema"].contains(&ident.value.to_lowercase().as_str())
}

/// `x::varchar(3)` keeps the first three characters.
fn cut_to_length(value: &Expr, data_type: &DataType, kind: &CastKind) -> Option<Expr> {
    let length = match data_type {
        DataType::Varchar(Some(length))
        | DataType::CharacterVarying(Some(length))
        | DataType::CharVarying(Some(length))
        | DataType::Nvarchar(Some(length))
        | DataType::Character(Some(length))
        | DataType::Char(Some(length)) => match length {
            CharacterLength::IntegerLength { length, .. } => *length,
            CharacterLength::Max => return None,
        },
        DataType::Char(None) | DataType::Character(None) => 1,
        _ => return None,
    };
    let text = Expr::Cast {
        kind: kind.clone(),
        expr: Box::new(value.clone()),
        data_type: DataType::Text,
        array: false,
        format: None,
    };
    Some(call("substr", vec![text, number("1"), number(&length.to_string())]))
}

fn unary(operator: UnaryOperator, operand: &Expr) -> Option<Expr> {
    let operand = operand.clone();
    match operator {
        // All bits but those that are set.
        UnaryOperator::BitwiseNot => Some(Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(operand),
            op: BinaryOperator::PGBitwiseXor,
            right: Box::new(Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(number("1")) }),
        }))),
        UnaryOperator::PGAbs => Some(call("abs", vec![operand])),
        UnaryOperator::PGSquareRoot => Some(call("sqrt", vec![operand])),
        UnaryOperator::PGCubeRoot => Some(call("cbrt", vec![operand])),
        _ => None,
    }
}

/// Functions under other names, or put together from others.
fn called(function: &mut Function) -> Result<Option<Expr>> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return Ok(None) };
    let name = name.value.to_lowercase();
    let arguments = match &function.args {
        FunctionArguments::List(list) => list.args.iter().map(plain).collect::<Option<Vec<Expr>>>(),
        FunctionArguments::None => Some(vec![]),
        FunctionArguments::Subquery(_) => None,
    };
    let Some(arguments) = arguments else {
        rename(function, &name);
        return Ok(None);
    };
    Ok(match (name.as_str(), arguments.as_slice()) {
        ("now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp", []) => {
            Some(cast(call("now", vec![]), moments()))
        }
        ("localtimestamp", []) => Some(cast(cast(call("now", vec![]), moments()), local_times())),
        ("gen_random_uuid", []) => Some(call("uuid", vec![])),
        ("mod", [dividend, divisor]) => Some(Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(dividend.clone()))),
            op: BinaryOperator::Modulo,
            right: Box::new(Expr::Nested(Box::new(divisor.clone()))),
        }))),
        ("array_upper", [array, dimension]) => Some(call("array_length", vec![array.clone(), dimension.clone()])),
        ("date_part", [Expr::Value(part), moment]) if is_second(&part.value) => {
            Some(cast(seconds(moment.clone()), DataType::DoublePrecision))
        }
        // In a list of columns it gives rows, as in FROM.
        ("generate_series", _) => Some(call("unnest", vec![Expr::Function(function.clone())])),
        ("to_char" | "to_date" | "to_timestamp", [_, Expr::Value(format)]) => {
            if let Value::SingleQuotedString(text) = &format.value
                && let Some(strftime) = patterns::strftime(text)?
            {
                let mut arguments = arguments.clone();
                if let Some(format) = arguments.last_mut() {
                    *format = text_literal(&strftime);
                }
                Some(call(&name, arguments))
            } else {
                None
            }
        }
        _ => {
            rename(function, &name);
            None
        }
    })
}

fn rename(function: &mut Function, name: &str) {
    let other = match name {
        "every" => "bool_and",
        "variance" => "var_samp",
        _ => return,
    };
    function.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(other))]);
}

fn plain(argument: &FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression.clone()),
        _ => None,
    }
}

fn is_second(part: &Value) -> bool {
    matches!(part, Value::SingleQuotedString(part) if ["second", "seconds"].contains(&part.to_lowercase().as_str()))
}

/// Seconds with their fraction, which the planner's own part leaves out.
fn seconds(moment: Expr) -> Expr {
    let micros = call("date_part", vec![text_literal("microsecond"), moment]);
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(micros),
        op: BinaryOperator::Divide,
        right: Box::new(number("1000000.0")),
    }))
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let argument = |expression| FunctionArg::Unnamed(FunctionArgExpr::Expr(expression));
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(argument).collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

fn cast(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expression), data_type, array: false, format: None }
}

fn moments() -> DataType {
    DataType::Timestamp(None, TimezoneInfo::Tz)
}

fn local_times() -> DataType {
    DataType::Timestamp(None, TimezoneInfo::None)
}

fn number(digits: &str) -> Expr {
    Expr::Value(Value::Number(digits.to_string(), false).into())
}

fn text_literal(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_string()).into())
}
