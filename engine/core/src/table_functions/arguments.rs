//! What a table function is called with: arguments by place or by name, as constants, parameters or names of tables.

use std::collections::BTreeMap;

use alluvia_udfs::FunctionDoc;
use alluvia_udfs::declaration::ArgumentKind;
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Value};

use crate::error::{Error, Kind, Result};
use crate::planning::constants;

/// The values of a call's arguments, by their names. One that was left out, or is NULL, isn't among them.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    values: BTreeMap<&'static str, Given>,
    /// Arguments of other names.
    pub options: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(super) enum Given {
    Value(ScalarValue),
    /// A parameter whose value isn't known yet.
    Unknown,
    Table(ObjectName),
}

/// An argument as it is written.
enum Written<'a> {
    Declared(&'static str, ArgumentKind, &'a Expr),
    Option(String, &'a Expr),
}

impl Arguments {
    pub async fn of(
        state: &SessionState,
        doc: &'static FunctionDoc,
        takes_options: bool,
        written: &[FunctionArg],
        parameters: Option<&[ScalarValue]>,
    ) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        for written in sorted(doc, takes_options, written)? {
            match written {
                Written::Declared(name, kind, expression) => {
                    let given = match (kind, table_name(expression)) {
                        (ArgumentKind::Table, Some(table)) => Some(Given::Table(table)),
                        _ => value(state, expression, doc.name, parameters).await?,
                    };
                    if let Some(given) = given {
                        arguments.values.insert(name, given);
                    }
                }
                Written::Option(name, expression) => match value(state, expression, doc.name, parameters).await? {
                    Some(Given::Value(value)) => drop(arguments.options.insert(name, text(&value)?)),
                    Some(_) => return Err(undetermined(doc.name, &name)),
                    None => {}
                },
            }
        }
        let missing = doc.arguments.iter().find(|argument| {
            !argument.optional
                && argument.kind != ArgumentKind::Options
                && !arguments.values.contains_key(argument.name)
        });
        match missing {
            Some(missing) => Err(Error::new(
                Kind::UndefinedFunction,
                format!("function {} needs its argument \"{}\"", doc.name, missing.name),
            )
            .with_hint(usage(doc))),
            None => Ok(arguments),
        }
    }

    pub fn get(&self, name: &str) -> Option<&Given> {
        self.values.get(name)
    }

    /// One text, or a list of texts.
    pub fn texts(&self, function: &str, name: &str) -> Result<Vec<String>> {
        match self.get(name) {
            Some(Given::Value(ScalarValue::List(list))) => {
                let values = list.value(0);
                let texts = arrow::compute::cast(&values, &DataType::Utf8)?;
                let texts = texts.as_string::<i32>();
                if texts.is_empty() || texts.null_count() > 0 {
                    let message = format!("argument \"{name}\" of {function} must be a list of texts without NULL");
                    return Err(Error::new(Kind::InvalidParameterValue, message));
                }
                Ok(texts.iter().flatten().map(str::to_owned).collect())
            }
            Some(Given::Value(value)) => Ok(vec![text(value)?]),
            Some(Given::Table(table)) => Ok(vec![table.to_string()]),
            Some(Given::Unknown) => Err(undetermined(function, name)),
            None => Err(Error::new(Kind::NullValueNotAllowed, format!("argument \"{name}\" of {function} is NULL"))),
        }
    }
}

/// Columns can't be known before the value is.
fn undetermined(function: &str, name: &str) -> Error {
    Error::new(Kind::IndeterminateDatatype, format!("the columns of {function} depend on a parameter"))
        .with_detail(format!("Its argument \"{name}\" is not known when the statement is prepared."))
        .with_hint("Write the value into the statement, or run it by the simple protocol.")
}

fn text(value: &ScalarValue) -> Result<String> {
    match value.cast_to(&DataType::Utf8)? {
        ScalarValue::Utf8(Some(text)) => Ok(text),
        _ => Err(Error::new(Kind::InvalidParameterValue, "an argument can't be written as text")),
    }
}

/// Types of parameters that the client didn't declare.
pub(super) async fn declare_parameters(
    state: &SessionState,
    doc: &'static FunctionDoc,
    takes_options: bool,
    written: &[FunctionArg],
    declared: &mut Vec<Option<DataType>>,
) -> Result<()> {
    for written in sorted(doc, takes_options, written)? {
        let (kind, expression) = match &written {
            Written::Declared(_, ArgumentKind::Table, expression) if table_name(expression).is_some() => continue,
            Written::Declared(_, kind, expression) => (*kind, *expression),
            Written::Option(_, expression) => (ArgumentKind::Text, *expression),
        };
        let plan = constants::plan(state, expression.clone(), doc.name).await?;
        let direct = match kind {
            ArgumentKind::Boolean => DataType::Boolean,
            ArgumentKind::Version => DataType::Int64,
            _ => DataType::Utf8,
        };
        constants::declare_parameters(declared, &plan, |_| Some(direct.clone()))?;
    }
    Ok(())
}

async fn value(
    state: &SessionState,
    expression: &Expr,
    function: &str,
    parameters: Option<&[ScalarValue]>,
) -> Result<Option<Given>> {
    let plan = constants::plan(state, expression.clone(), function).await?;
    Ok(match constants::value(state, plan, parameters).await? {
        Some(value) if value.is_null() => None,
        Some(value) => Some(Given::Value(value)),
        None => Some(Given::Unknown),
    })
}

/// `orders`, `sales.orders`, `'sales.orders'`.
fn table_name(expression: &Expr) -> Option<ObjectName> {
    match expression {
        Expr::Identifier(ident) => Some(ObjectName::from(vec![ident.clone()])),
        Expr::CompoundIdentifier(idents) => Some(ObjectName::from(idents.clone())),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => crate::parser::object_name(text).ok(),
            _ => None,
        },
        _ => None,
    }
}

fn sorted<'a>(doc: &'static FunctionDoc, takes_options: bool, written: &'a [FunctionArg]) -> Result<Vec<Written<'a>>> {
    let mut sorted: Vec<Written<'a>> = vec![];
    for (place, argument) in written.iter().enumerate() {
        let (name, expression) = match argument {
            FunctionArg::Named { name, arg, .. } => (Some(name), expression(arg)?),
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, .. } => (Some(name), expression(arg)?),
            FunctionArg::ExprNamed { name, .. } => {
                return Err(Error::new(Kind::SyntaxError, format!("an argument can't be named {name}")));
            }
            FunctionArg::Unnamed(argument) => named_by_equals(expression(argument)?),
        };
        let Some(name) = name else {
            let declared = doc.arguments.get(place).filter(|argument| argument.kind != ArgumentKind::Options);
            let declared = declared.ok_or_else(|| {
                let message = format!("function {} takes fewer arguments", doc.name);
                Error::new(Kind::UndefinedFunction, message).with_hint(usage(doc))
            })?;
            sorted.push(Written::Declared(declared.name, declared.kind, expression));
            continue;
        };
        let known = doc.arguments.iter().find(|argument| argument.name.eq_ignore_ascii_case(&name.value));
        match known.filter(|argument| argument.kind != ArgumentKind::Options) {
            Some(known) => sorted.push(Written::Declared(known.name, known.kind, expression)),
            None if takes_options => sorted.push(Written::Option(name.value.to_lowercase(), expression)),
            None => {
                let message = format!("function {} has no argument \"{}\"", doc.name, name.value);
                return Err(Error::new(Kind::UndefinedFunction, message).with_hint(usage(doc)));
            }
        }
    }
    check_given_once(doc, &sorted)?;
    Ok(sorted)
}

fn check_given_once(doc: &FunctionDoc, sorted: &[Written<'_>]) -> Result<()> {
    let mut names: Vec<&str> = sorted
        .iter()
        .map(|written| match written {
            Written::Declared(name, ..) => name,
            Written::Option(name, _) => name.as_str(),
        })
        .collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(_) => Err(Error::new(Kind::SyntaxError, format!("an argument of {} is given more than once", doc.name))),
        None => Ok(()),
    }
}

fn expression(argument: &FunctionArgExpr) -> Result<&Expr> {
    match argument {
        FunctionArgExpr::Expr(expression) => Ok(expression),
        other => Err(Error::new(Kind::SyntaxError, format!("{other} can't be an argument here"))),
    }
}

/// DuckDB's `header = true`.
fn named_by_equals(expression: &Expr) -> (Option<&Ident>, &Expr) {
    match expression {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match left.as_ref() {
            Expr::Identifier(name) => (Some(name), right),
            _ => (None, expression),
        },
        _ => (None, expression),
    }
}

fn usage(doc: &FunctionDoc) -> String {
    format!("It is called as {}.", doc.syntax.join(" or "))
}
