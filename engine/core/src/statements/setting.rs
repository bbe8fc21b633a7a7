//! `SET`, `SHOW`, `RESET`, `DISCARD ALL`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    ContextModifier, DiscardObject, Expr, Ident, ObjectName, Reset, ResetStatement, Set, SetSessionParamKind,
    Statement as Ast, UnaryOperator, Value,
};

use super::{Described, Usage};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::{Session, TransactionStatus};
use crate::settings::Settings;

pub(super) const USAGE: Usage = Usage {
    statement: "SET",
    usage: "SET <name> {TO | =} {<value> | DEFAULT} | SHOW {<name> | ALL} | RESET {<name> | ALL} | DISCARD ALL",
};

pub(super) fn set(session: &Session, set: &Set) -> Result<Execution> {
    match set {
        Set::SingleAssignment { scope, variable, values, .. } => match scope {
            Some(ContextModifier::Local) => assign_local(session, &spelled(variable), values),
            Some(ContextModifier::Global) => Err(Error::unsupported("SET GLOBAL")),
            _ => assign(session, &spelled(variable), values),
        },
        Set::SetTimeZone { value, .. } => assign(session, "TimeZone", std::slice::from_ref(value)),
        Set::SetNames { charset_name, .. } => assign_text(session, "client_encoding", &charset_name.value),
        Set::SetNamesDefault {} => assign_text(session, "client_encoding", "UTF8"),
        // Each statement reads one snapshot and writes commit serially, so every level asked for is met or exceeded.
        Set::SetTransaction { modes, .. } => super::transaction::set_modes(session, modes),
        Set::SetSessionParam(SetSessionParamKind::Generic(_)) => Err(Error::unsupported("this form of SET")),
        other => Err(Error::unsupported(format!("{other}"))),
    }
}

fn assign(session: &Session, name: &str, values: &[Expr]) -> Result<Execution> {
    if let [Expr::Identifier(word)] = values
        && word.quote_style.is_none()
        && word.value.eq_ignore_ascii_case("default")
    {
        session.settings.lock().reset(name)?;
        return Ok(Execution::done("SET"));
    }
    assign_text(session, name, &joined(name, values)?)
}

fn assign_local(session: &Session, name: &str, values: &[Expr]) -> Result<Execution> {
    if session.transaction_status() == TransactionStatus::Idle {
        return Ok(Execution::done("SET").with_notice("WARNING", "SET LOCAL can only be used in transaction blocks"));
    }
    session.settings.lock().set_local(name, &joined(name, values)?)?;
    Ok(Execution::done("SET"))
}

/// The values as one text. A search path keeps the quotes of names that need them, unless it is given as one text.
fn joined(name: &str, values: &[Expr]) -> Result<String> {
    let mut texts = values.iter().map(literal).collect::<Result<Vec<_>>>()?;
    if name.eq_ignore_ascii_case("search_path") && values.len() > 1 {
        for text in &mut texts {
            if !text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
                *text = format!("\"{}\"", text.trim_matches('"'));
            }
        }
    }
    Ok(texts.join(", "))
}

fn assign_text(session: &Session, name: &str, value: &str) -> Result<Execution> {
    session.settings.lock().set(name, value)?;
    Ok(Execution::done("SET"))
}

fn literal(value: &Expr) -> Result<String> {
    let text = match value {
        Expr::Identifier(Ident { value, .. }) => Some(value.clone()),
        Expr::CompoundIdentifier(parts) => {
            Some(parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join("."))
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Some(format!("-{}", literal(expr)?)),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => Some(literal(expr)?),
        Expr::Interval(interval) => return literal(&interval.value),
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => Some(number.to_string()),
            Value::Boolean(on) => Some(if *on { "on" } else { "off" }.to_string()),
            other => other.clone().into_string(),
        },
        _ => None,
    };
    text.ok_or_else(|| Error::new(Kind::SyntaxError, format!("a parameter's value can't be an expression: {value}")))
}

pub(super) fn show(session: &Session, variable: &[Ident]) -> Result<Execution> {
    let name = shown_name(variable);
    if name.eq_ignore_ascii_case("all") {
        let settings = session.settings.lock().all();
        let column = |part: fn(&(String, String, String)) -> &String| -> ArrayRef {
            Arc::new(settings.iter().map(|row| Some(part(row).as_str())).collect::<StringArray>())
        };
        let columns = vec![column(|row| &row.0), column(|row| &row.1), column(|row| &row.2)];
        return Ok(Execution::batch("SHOW", RecordBatch::try_new(show_schema(&name), columns)?));
    }
    let value = session.setting(&name).ok_or_else(|| unknown(&name))?;
    let column: ArrayRef = Arc::new(StringArray::from(vec![value]));
    Ok(Execution::batch("SHOW", RecordBatch::try_new(show_schema(&name), vec![column])?))
}

pub(super) fn describe_show(session: &Session, ast: &Ast) -> Result<Described> {
    let Ast::ShowVariable { variable } = ast else { return Ok(Described::nothing()) };
    let name = shown_name(variable);
    if !name.eq_ignore_ascii_case("all") && session.setting(&name).is_none() {
        return Err(unknown(&name));
    }
    Ok(Described::rows(show_schema(&name), vec![]))
}

pub(super) fn reset(session: &Session, reset: &ResetStatement) -> Result<Execution> {
    match &reset.reset {
        Reset::ALL => session.settings.lock().reset_all(),
        Reset::ConfigurationParameter(name) => session.settings.lock().reset(&spelled(name))?,
    }
    Ok(Execution::done("RESET"))
}

pub(super) async fn discard(session: &Session, what: &DiscardObject) -> Result<Execution> {
    match what {
        DiscardObject::ALL => {
            super::target::check_outside_block(session, "DISCARD ALL")?;
            super::temporary::discard(session).await;
            session.settings.lock().reset_all();
        }
        DiscardObject::TEMP => {
            super::target::check_outside_block(session, "DISCARD TEMP")?;
            super::temporary::discard(session).await;
        }
        // Plans aren't kept, and there are no sequences.
        DiscardObject::PLANS | DiscardObject::SEQUENCES => {}
    }
    Ok(Execution::done(format!("DISCARD {what}")))
}

/// `SHOW TIME ZONE` and `SHOW TRANSACTION ISOLATION LEVEL` are written in several words.
fn shown_name(variable: &[Ident]) -> String {
    let words: Vec<String> = variable.iter().map(|word| word.value.to_lowercase()).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["time", "zone"] => "TimeZone".to_string(),
        ["transaction", "isolation", "level"] => "transaction_isolation".to_string(),
        ["session", "authorization"] => "session_authorization".to_string(),
        _ => Settings::spelling(&words.join(".")),
    }
}

fn show_schema(name: &str) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    if name.eq_ignore_ascii_case("all") {
        return Arc::new(Schema::new(vec![text("name"), text("setting"), text("description")]));
    }
    Arc::new(Schema::new(vec![text(name)]))
}

fn spelled(name: &ObjectName) -> String {
    let part = |part: &datafusion::sql::sqlparser::ast::ObjectNamePart| match part.as_ident() {
        Some(ident) => ident.value.clone(),
        None => part.to_string(),
    };
    name.0.iter().map(part).collect::<Vec<_>>().join(".")
}

fn unknown(name: &str) -> Error {
    Error::new(Kind::UndefinedObject, format!("unrecognized configuration parameter \"{name}\""))
        .with_hint("SHOW ALL lists the parameters there are.")
}
