//! Foreign errors into ours: which kind a DataFusion, Arrow, Delta or model error is.
//!
//! DataFusion types few of its errors, so the last resort is the wording of its own messages; each such wording is
//! held by a test in `tests/slt/errors`, which fails when an upgrade changes it.

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use super::{Error, Kind};

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        from_datafusion(&error)
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        from_arrow(&error)
    }
}

impl From<ParserError> for Error {
    fn from(error: ParserError) -> Self {
        from_parser(&error, None)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::UndefinedFile,
            std::io::ErrorKind::StorageFull => Kind::DiskFull,
            _ => Kind::Io,
        };
        Error::new(kind, lowercase_first(&error.to_string()))
    }
}

/// A parser's message, with the 1-based character position found in `text` when the statement is at hand.
pub(crate) fn from_parser(error: &ParserError, text: Option<&str>) -> Error {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            return Error::new(Kind::SyntaxError, "statement is nested too deeply")
                .with_hint("Split the statement, or use fewer nested parentheses.");
        }
    };
    let (body, place) = match message.rsplit_once(" at Line: ") {
        Some((body, place)) => (body, Some(place)),
        None => (message.as_str(), None),
    };
    let position = place.zip(text).and_then(|(place, text)| character_position(place, text));
    let primary = match body.rsplit_once(", found: ") {
        Some((_, "EOF")) => "syntax error at end of input".to_string(),
        Some((_, found)) => format!("syntax error at or near \"{found}\""),
        None => return Error::new(Kind::SyntaxError, lowercase_first(body)).at(position),
    };
    Error::new(Kind::SyntaxError, primary).with_detail(format!("{body}.")).at(position)
}

/// `place` reads `1, Column: 15`.
fn character_position(place: &str, text: &str) -> Option<usize> {
    let (line, column) = place.split_once(", Column: ")?;
    let (line, column): (usize, usize) = (line.trim().parse().ok()?, column.trim().parse().ok()?);
    let before: usize = text.split('\n').take(line.checked_sub(1)?).map(|line| line.chars().count() + 1).sum();
    before.checked_add(column)
}

fn from_datafusion(error: &DataFusionError) -> Error {
    if let Some(found) = alluvia_lake::StoreError::find(error) {
        return super::foreign::from_store(found);
    }
    match error {
        DataFusionError::ArrowError(error, _) => from_arrow(error),
        DataFusionError::ParquetError(error) => Error::new(Kind::Io, lowercase_first(&error.to_string())),
        DataFusionError::ObjectStore(error) => {
            let kind = if error.to_string().contains("not found") { Kind::UndefinedFile } else { Kind::Io };
            Error::new(kind, lowercase_first(&error.to_string()))
        }
        DataFusionError::IoError(error) => Error::new(
            if error.kind() == std::io::ErrorKind::StorageFull { Kind::DiskFull } else { Kind::Io },
            lowercase_first(&error.to_string()),
        ),
        DataFusionError::SQL(error, _) => from_parser(error, None),
        DataFusionError::NotImplemented(message) => from_not_implemented(message),
        // A function's signature has failed; what it couldn't take was the statement's.
        DataFusionError::Internal(message) if message.contains("failed to match any signature") => {
            from_plan_message(message)
        }
        DataFusionError::Internal(message) => Error::new(Kind::Internal, format!("internal error: {message}")),
        DataFusionError::Plan(message) => from_plan_message(message),
        DataFusionError::Configuration(message) => Error::new(Kind::InvalidParameterValue, lowercase_first(message)),
        DataFusionError::SchemaError(error, _) => from_schema(error),
        DataFusionError::Execution(message) => from_execution_message(message),
        DataFusionError::ExecutionJoin(error) => Error::internal(error),
        DataFusionError::ResourcesExhausted(message) => out_of_memory(message),
        DataFusionError::External(error) => from_external(error.as_ref()),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_datafusion(inner),
        DataFusionError::Collection(errors) => {
            errors.first().map_or_else(|| Error::internal("an empty collection of errors"), from_datafusion)
        }
        DataFusionError::Shared(inner) => from_datafusion(inner),
        other => Error::internal(other),
    }
}

/// The planner prints its inner structures here; people are told which construct it is.
fn from_not_implemented(message: &str) -> Error {
    let unsupported = |what: &str| Error::unsupported(what);
    if message.contains("logical expression OuterReferenceColumn") {
        return unsupported("a correlated subquery of this shape")
            .with_hint("Leave LIMIT and ORDER BY out of it, or write it as a join with a window function.");
    }
    if message.contains("logical expression WindowFunction") {
        return Error::new(Kind::WindowingError, "window functions are not allowed here")
            .with_hint("Compute it in a subquery, and filter outside.");
    }
    if message.contains("logical expression Exists") || message.contains("logical expression InSubquery") {
        return unsupported("a subquery with EXISTS, IN, ANY or ALL in this place")
            .with_hint("Use it in WHERE, or count the rows with a scalar subquery.");
    }
    let short = message.find(" { ").or_else(|| message.find("{ ")).and_then(|end| message.get(..end));
    Error::new(Kind::FeatureNotSupported, lowercase_first(short.unwrap_or(message)))
}

fn out_of_memory(message: &str) -> Error {
    Error::new(Kind::OutOfMemory, "out of memory")
        .with_detail(lowercase_first(message))
        .with_hint("Raise --memory-limit, or make the statement sort, join or aggregate fewer rows at once.")
}

pub(super) fn from_external(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Error {
    if let Some(error) = error.downcast_ref::<Error>() {
        return error.clone();
    }
    if let Some(error) = error.downcast_ref::<DataFusionError>() {
        return from_datafusion(error);
    }
    if let Some(error) = error.downcast_ref::<ArrowError>() {
        return from_arrow(error);
    }
    if let Some(error) = error.downcast_ref::<alluvia_lake::Error>() {
        return super::foreign::from_lake(error);
    }
    if let Some(error) = error.downcast_ref::<alluvia_inference::Error>() {
        return super::foreign::from_inference(error);
    }
    if let Some(error) = error.downcast_ref::<alluvia_udfs::FunctionError>() {
        return super::foreign::from_function(error);
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<Error>() {
            return error.clone();
        }
        if let Some(error) = inner.downcast_ref::<DataFusionError>() {
            return from_datafusion(error);
        }
        source = inner.source();
    }
    Error::internal(error)
}

fn from_arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::DivideByZero => Error::new(Kind::DivisionByZero, "division by zero"),
        ArrowError::ArithmeticOverflow(message) => {
            Error::new(Kind::NumericValueOutOfRange, "value out of range").with_detail(message.clone())
        }
        ArrowError::CastError(message) => from_cast_message(message),
        ArrowError::ParseError(message) => Error::new(Kind::InvalidTextRepresentation, lowercase_first(message)),
        ArrowError::ExternalError(error) => from_external(error.as_ref()),
        ArrowError::MemoryError(message) => out_of_memory(message),
        ArrowError::NotYetImplemented(message) => Error::new(Kind::FeatureNotSupported, lowercase_first(message)),
        ArrowError::InvalidArgumentError(message) | ArrowError::ComputeError(message) => {
            from_execution_message(message)
        }
        ArrowError::CsvError(message) | ArrowError::JsonError(message) => {
            Error::new(Kind::InvalidTextRepresentation, lowercase_first(message))
        }
        ArrowError::IoError(message, _) => Error::new(Kind::Io, lowercase_first(message)),
        other => Error::internal(other),
    }
}

/// Casts fail with Arrow's words; PostgreSQL tells a malformed text from a number that doesn't fit.
fn from_cast_message(message: &str) -> Error {
    if message.contains("Can't cast value") || message.contains("out of range") || message.contains("too large") {
        return Error::new(Kind::NumericValueOutOfRange, "value out of range").with_detail(format!("{message}."));
    }
    if let Some((value, target)) = message.strip_prefix("Cannot cast string '").and_then(|rest| {
        let (value, rest) = rest.split_once("' to value of ")?;
        Some((value, rest.trim_end_matches(" type")))
    }) {
        let name = type_name(target);
        let number = value.trim().parse::<f64>().is_ok_and(|number| number.is_finite() && number.fract() == 0.0);
        if number && ["smallint", "integer", "bigint"].contains(&name) {
            return Error::new(
                Kind::NumericValueOutOfRange,
                format!("value \"{value}\" is out of range for type {name}"),
            );
        }
        let datetime = name.starts_with("time") || name == "date";
        let kind = if datetime { Kind::InvalidDatetime } else { Kind::InvalidTextRepresentation };
        return Error::new(kind, format!("invalid input syntax for type {name}: \"{value}\""));
    }
    if message.starts_with("Casting from") || message.contains("not supported") {
        return Error::new(Kind::DatatypeMismatch, lowercase_first(message));
    }
    Error::new(Kind::InvalidTextRepresentation, lowercase_first(message))
}

/// PostgreSQL's name of a type that Arrow names.
fn type_name(arrow: &str) -> &str {
    match arrow {
        "Int8" | "UInt8" | "Int16" => "smallint",
        "UInt16" | "Int32" => "integer",
        "UInt32" | "Int64" | "UInt64" => "bigint",
        "Float16" | "Float32" => "real",
        "Float64" => "double precision",
        "Boolean" => "boolean",
        "Date32" | "Date64" => "date",
        "Utf8" | "LargeUtf8" | "Utf8View" | "String" => "text",
        "Binary" | "LargeBinary" | "BinaryView" => "bytea",
        "Null" => "unknown",
        other if other.starts_with("Decimal") => "numeric",
        other if other.starts_with("Time32") || other.starts_with("Time64") => "time",
        other if other.starts_with("Timestamp") && other.contains('"') => "timestamp with time zone",
        other if other.starts_with("Timestamp") => "timestamp",
        other if other.starts_with("Interval") || other.starts_with("Duration") => "interval",
        other => other,
    }
}

fn from_schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let name = field.flat_name();
            let wanted = field.name.to_lowercase();
            let near = valid_fields.iter().find(|candidate| candidate.name.to_lowercase() == wanted);
            let error =
                Error::new(Kind::UndefinedColumn, format!("column \"{}\" does not exist", name.replace('"', "")));
            match near {
                Some(near) => {
                    error.with_hint(format!("Perhaps you meant to reference the column {}.", near.quoted_flat_name()))
                }
                None if valid_fields.is_empty() => error,
                None => {
                    let names: Vec<_> = valid_fields.iter().take(12).map(|column| column.name.as_str()).collect();
                    let more = if valid_fields.len() > names.len() { ", ..." } else { "" };
                    error.with_hint(format!("The columns in reach are: {}{more}.", names.join(", ")))
                }
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Error::new(Kind::AmbiguousColumn, format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new(Kind::DuplicateColumn, format!("column \"{name}\" specified more than once"))
        }
    }
}

/// DataFusion's planner says these things only in words.
fn from_plan_message(message: &str) -> Error {
    let quoted = |prefix: &str| message.strip_prefix(prefix).and_then(|rest| rest.split('\'').next());
    if let Some(name) = quoted("table '").filter(|_| message.contains("not found")) {
        let name = crate::planning::without_path(name);
        let name = name.strip_prefix("alluvia.").unwrap_or(name);
        let name = name.strip_prefix("public.").unwrap_or(name);
        return Error::new(Kind::UndefinedTable, format!("relation \"{name}\" does not exist"));
    }
    if let Some(name) = quoted("Invalid function '") {
        let error = Error::new(Kind::UndefinedFunction, format!("function {name} does not exist"));
        return match message.split_once("Did you mean '").and_then(|(_, rest)| rest.split('\'').next()) {
            Some(near) => {
                error.with_hint(format!("Did you mean {near}? All functions stand in information_schema.routines."))
            }
            None => error,
        };
    }
    if message.starts_with("failed to resolve schema") || message.starts_with("failed to resolve catalog") {
        return Error::new(Kind::UndefinedSchema, lowercase_first(message));
    }
    let message = unwrapped(message);
    if let Some(error) = from_signature_message(message).or_else(|| from_known_plan_message(message)) {
        return error;
    }
    let kind = if message.contains("requires unique expression names")
        || message.contains("require unique expression names")
    {
        Kind::DuplicateColumn
    } else if message.contains("must appear in the GROUP BY")
        || message.contains("could not be resolved from available columns")
    {
        Kind::GroupingError
    } else if message.contains("Function '")
        && (message.contains("coerc") || message.contains("signature") || message.contains("user-defined coercion"))
    {
        Kind::UndefinedFunction
    } else if is_type_complaint(message) {
        Kind::DatatypeMismatch
    } else if message.contains("Placeholder type") || message.contains("placeholder") {
        Kind::IndeterminateDatatype
    } else if message.contains("not supported") || message.contains("unsupported") || message.contains("Unsupported") {
        Kind::FeatureNotSupported
    } else {
        Kind::SyntaxError
    };
    Error::new(kind, lowercase_first(message.lines().next().unwrap_or(message)))
}

/// Wordings with a kind of their own, and what PostgreSQL says in their place where that is plainer.
const PLAN_MESSAGES: &[(&str, Kind, Option<&str>)] = &[
    ("ggregate function calls cannot be nested", Kind::GroupingError, None),
    ("ggregate functions are not allowed in", Kind::GroupingError, None),
    ("Order by column out of bounds", Kind::InvalidColumnReference, None),
    ("Cannot find column with position", Kind::InvalidColumnReference, None),
    ("must appear in select list", Kind::InvalidColumnReference, None),
    ("Window functions are not allowed", Kind::WindowingError, None),
    ("LIMIT must be >= 0", Kind::InvalidRowCount, Some("LIMIT must not be negative")),
    ("OFFSET must be >=0", Kind::InvalidRowCount, Some("OFFSET must not be negative")),
    ("rguments must be literals", Kind::FeatureNotSupported, None),
    ("requires a boolean expression", Kind::DatatypeMismatch, None),
    ("non-boolean predicate", Kind::DatatypeMismatch, None),
    ("Cannot get result type for", Kind::UndefinedFunction, None),
    ("Cannot coerce arithmetic expression", Kind::UndefinedFunction, None),
    ("Correlated scalar subquery must be aggregated", Kind::FeatureNotSupported, None),
    ("Too many columns! The subquery should only return", Kind::FeatureNotSupported, None),
];

fn from_known_plan_message(message: &str) -> Option<Error> {
    let first = message.lines().next().unwrap_or(message);
    let (wording, kind, plain) = PLAN_MESSAGES.iter().find(|(wording, ..)| first.contains(wording))?;
    let error = Error::new(*kind, plain.map_or_else(|| lowercase_first(first), str::to_string));
    Some(match *wording {
        "Correlated scalar subquery must be aggregated" => {
            error.with_hint("Write max(...) around its column, or use LEFT JOIN.")
        }
        "Too many columns! The subquery should only return" => {
            error.with_hint("Compare the columns one by one in WHERE EXISTS (...).")
        }
        "Cannot coerce arithmetic expression" => {
            error.with_hint("No operator matches the given argument types. You might need to add explicit type casts.")
        }
        _ => error,
    })
}

/// `function upper(bigint) does not exist`, out of the planner's account of what it tried.
fn from_signature_message(message: &str) -> Option<Error> {
    let (_, rest) = message.split_once("No function matches the given name and argument types '")?;
    let (called, _) = rest.split_once("'. You might")?;
    let (name, types) = called.split_once('(')?;
    let types = types.strip_suffix(')').unwrap_or(types);
    let types: Vec<&str> = types.split(", ").map(type_name).collect();
    Some(
        Error::new(Kind::UndefinedFunction, format!("function {name}({}) does not exist", types.join(", "))).with_hint(
            "No function matches the given name and argument types. You might need to add explicit type casts.",
        ),
    )
}

fn is_type_complaint(message: &str) -> bool {
    [
        "coerc",
        "Cannot cast",
        "cannot be converted",
        "type mismatch",
        "incompatible",
        "must be boolean",
        "Cannot infer common",
        "non-boolean predicate",
        "must be of type",
        "expected type",
        "Unsupported CAST",
    ]
    .iter()
    .any(|needle| message.contains(needle))
}

/// Without the prefixes that an error gains on its way through others' texts.
fn unwrapped(message: &str) -> &str {
    const PREFIXES: &[&str] =
        &["Error during planning: ", "Execution error: ", "Internal error: ", "Arrow error: ", "Compute error: "];
    let mut message = message;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| message.strip_prefix(prefix)) {
        message = rest;
    }
    message
}

fn from_execution_message(message: &str) -> Error {
    let message = unwrapped(message);
    let lower = message.to_lowercase();
    let kind = if lower.contains("divide by zero") || lower.contains("division by zero") {
        return Error::new(Kind::DivisionByZero, "division by zero");
    } else if lower.contains("overflow") || lower.contains("out of range") || lower.contains("too large to store") {
        Kind::NumericValueOutOfRange
    } else if lower.contains("square root of a negative") {
        Kind::InvalidPowerArgument
    } else if lower.contains("scalar subquery returned more than one row") {
        return Error::new(
            Kind::CardinalityViolation,
            "more than one row returned by a subquery used as an expression",
        );
    } else if lower.contains("does not support escape_char") {
        Kind::FeatureNotSupported
    } else if lower.contains("error parsing timestamp") || lower.contains("parsing date") {
        Kind::InvalidDatetime
    } else if lower.contains("cast") || lower.contains("parse") {
        Kind::InvalidTextRepresentation
    } else if lower.contains("null") && lower.contains("not allowed") {
        Kind::NullValueNotAllowed
    } else {
        Kind::DataException
    };
    Error::new(kind, lowercase_first(message))
}

pub(crate) fn lowercase_first(message: &str) -> String {
    let message = message.trim();
    let mut characters = message.chars();
    match (characters.next(), characters.next()) {
        // An acronym keeps its capitals.
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(std::iter::once(second)).chain(characters).collect()
        }
        _ => message.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_message_becomes_postgres_words_with_a_position() {
        let text = "SELECT 1\nFROM WHERE";
        let error = from_parser(
            &ParserError::ParserError("Expected: identifier, found: WHERE at Line: 2, Column: 6".into()),
            Some(text),
        );
        assert_eq!(error.kind, Kind::SyntaxError);
        assert_eq!(error.message, "syntax error at or near \"WHERE\"");
        assert_eq!(error.position, Some(15));
    }

    #[test]
    fn an_error_of_ours_survives_the_way_through_datafusion() {
        let ours = Error::new(Kind::InferenceFailed, "no").with_hint("yes");
        let inner: DataFusionError = ours.clone().into();
        let wrapped =
            DataFusionError::Context("scan".into(), Box::new(DataFusionError::Shared(std::sync::Arc::new(inner))));
        let back = Error::from(wrapped);
        assert_eq!((back.kind, back.message, back.hint), (ours.kind, ours.message, ours.hint));
    }
}
