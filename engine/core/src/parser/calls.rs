//! What is rewritten in the parsed text before planning: named arguments of model functions become positional
//! (`ai_query('m', x, failOnError => false)`), and fields of structs are named by strings.
//!
//! DataFusion matches named arguments only without gaps; here an omitted one becomes NULL, which the functions take
//! as "not given". Names are compared without regard to case, because unquoted identifiers are folded.

use std::ops::ControlFlow;

use alluvia_udfs::ModelFunction;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, VisitMut,
    VisitorMut, visit_expressions,
};

use crate::error::{Error, Kind, Result};

/// Functions whose arguments may be named.
const NAMED: &[ModelFunction] = &[ModelFunction::AiQuery, ModelFunction::Embed];

pub(super) fn order_arguments(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Orderer) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Whether a statement embeds text with the built-in model: by not naming any, or by its name.
pub(crate) fn mentions_default_embedding(statement: &Statement, default: &str) -> bool {
    let mut mentioned = false;
    let _ = visit_expressions(statement, |expression| {
        if let Expr::Function(function) = expression
            && let FunctionArguments::List(list) = &function.args
        {
            let endpoint = if is_named(function, "embed") { list.args.get(1) } else { list.args.first() };
            mentioned |= match endpoint {
                None => is_named(function, "embed"),
                Some(endpoint) => {
                    (is_named(function, "embed") || is_named(function, "ai_query")) && is_text(endpoint, default)
                }
            };
        }
        ControlFlow::<()>::Continue(())
    });
    mentioned
}

fn is_text(argument: &FunctionArg, text: &str) -> bool {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
            Value::Null => true,
            Value::SingleQuotedString(value) => value == text,
            _ => false,
        },
        _ => false,
    }
}

struct Orderer;

impl VisitorMut for Orderer {
    type Break = Error;

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Function(function) = expression
            && let Some(named) = NAMED.iter().find(|named| is_named(function, named.name()))
            && let Err(error) = order(function, &named.parameters())
        {
            return ControlFlow::Break(error);
        }
        match expression {
            Expr::CompoundFieldAccess { access_chain, .. } => name_fields(access_chain),
            Expr::Cast { expr, data_type: DataType::Interval { .. }, .. } => spell_interval(expr),
            Expr::Interval(interval) => spell_interval(&mut interval.value),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `(x).field`: the planner takes a field's name only as a string.
fn name_fields(chain: &mut [AccessExpr]) {
    for access in chain {
        if let AccessExpr::Dot(Expr::Identifier(field)) = access {
            let name = Value::SingleQuotedString(field.value.clone());
            *access = AccessExpr::Dot(Expr::Value(name.into()));
        }
    }
}

pub(super) fn spell_interval(literal: &mut Expr) {
    if let Expr::Value(value) = literal
        && let Value::SingleQuotedString(text) = &mut value.value
        && let Some(spelled) = super::intervals::spelled_out(text)
    {
        *text = spelled;
    }
}

fn is_named(function: &Function, name: &str) -> bool {
    function.name.0.last().and_then(|part| part.as_ident()).is_some_and(|ident| ident.value.eq_ignore_ascii_case(name))
}

fn order(function: &mut Function, names: &[&str]) -> Result<()> {
    let called = function.name.to_string();
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    if list.args.iter().all(|argument| matches!(argument, FunctionArg::Unnamed(_))) {
        return Ok(());
    }
    let mut slots: Vec<Option<FunctionArgExpr>> = vec![None; names.len()];
    for (index, argument) in list.args.drain(..).enumerate() {
        let (slot, value) = match argument {
            FunctionArg::Unnamed(value) => (Some(index), value),
            FunctionArg::Named { name, arg, .. } => (position(names, &name.value), arg),
            FunctionArg::ExprNamed { name, arg, .. } => (position(names, &name.to_string()), arg),
        };
        let slot = slot.and_then(|slot| slots.get_mut(slot)).ok_or_else(|| {
            Error::new(Kind::UndefinedFunction, format!("function {called} has no such argument"))
                .with_hint(format!("Its arguments are: {}.", names.join(", ")))
        })?;
        if slot.replace(value).is_some() {
            return Err(Error::new(Kind::SyntaxError, format!("an argument of {called} is given more than once")));
        }
    }
    while slots.last().is_some_and(Option::is_none) {
        slots.pop();
    }
    let null = || FunctionArgExpr::Expr(Expr::Value(Value::Null.into()));
    list.args = slots.into_iter().map(|slot| FunctionArg::Unnamed(slot.unwrap_or_else(null))).collect();
    Ok(())
}

fn position(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use crate::parser::{StatementKind, parse};

    fn rewritten(sql: &str) -> String {
        match &parse(sql).unwrap()[0].kind {
            StatementKind::Sql(statement) => statement.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn gaps_become_null() {
        assert!(
            rewritten("SELECT ai_query('m', x, failonerror => false) AS y FROM t")
                .contains("ai_query('m', x, NULL, false)")
        );
        assert!(rewritten("SELECT embed(model => 'm', text => x) AS y FROM t").contains("embed(x, 'm')"));
    }

    #[test]
    fn unknown_and_repeated_names_are_refused() {
        assert!(parse("SELECT ai_query('m', x, nonsense => 1)").unwrap_err().hint.unwrap().contains("failOnError"));
        assert!(parse("SELECT embed('a', text => 'b')").is_err());
    }
}
