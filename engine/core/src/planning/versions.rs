//! Tables at a version. What a statement says after VERSION AS OF or TIMESTAMP AS OF is computed before it is planned,
//! and carried to the catalog in the table's name, behind a character that no name has.

use std::ops::ControlFlow;

use alluvia_lake::At;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, Expr, Ident, ObjectName, ObjectNamePart, Query, Select, Statement as Ast,
    TableAlias, TableFactor, TableVersion, TimezoneInfo, Visit, VisitMut, Visitor, VisitorMut,
};

use super::constants;
use crate::catalog::RESERVED_SCHEMAS;
use crate::error::{Error, Kind, Result};

/// Stands between a table's name and its version.
const SEPARATOR: char = '\u{1e}';

/// The name under which the catalog opens a table at a version. Inverse of [`split`].
pub(crate) fn versioned_name(name: &str, at: At) -> String {
    match at {
        At::Newest => name.to_string(),
        At::Version(version) => format!("{name}{SEPARATOR}v{version}"),
        At::Timestamp(micros) => format!("{name}{SEPARATOR}t{micros}"),
    }
}

/// A table's name, and the version that it is to be opened at.
pub(crate) fn split(name: &str) -> (&str, At) {
    let Some((table, version)) = name.split_once(SEPARATOR) else { return (name, At::Newest) };
    let at = match version.split_at_checked(1) {
        Some(("v", number)) => number.parse().ok().map(At::Version),
        Some(("t", micros)) => micros.parse().ok().map(At::Timestamp),
        _ => None,
    };
    at.map_or((name, At::Newest), |at| (table, at))
}

/// A table's name as a person wrote it, without its version.
pub(crate) fn without_version(name: &str) -> &str {
    name.split_once(SEPARATOR).map_or(name, |(table, _)| table)
}

/// Puts each version into its table's name. `parameters` are known when the statement runs; while it is prepared, a
/// table whose version depends on them stands for any version of it.
pub(crate) async fn resolve(state: &SessionState, ast: &mut Ast, parameters: Option<&[ScalarValue]>) -> Result<()> {
    let mut wanted = Wanted::default();
    if let ControlFlow::Break(error) = Visit::visit(ast, &mut wanted) {
        return Err(error);
    }
    let mut found = Vec::with_capacity(wanted.versions.len());
    for version in wanted.versions {
        found.push(moment(state, version, parameters).await?);
    }
    let mut names = Names { found: found.into_iter() };
    match VisitMut::visit(ast, &mut names) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// What a client didn't declare of the parameters that versions are given by.
pub(crate) async fn parameter_types(
    state: &SessionState,
    ast: &Ast,
    declared: &[Option<DataType>],
) -> Result<Vec<Option<DataType>>> {
    let mut wanted = Wanted::default();
    if let ControlFlow::Break(error) = Visit::visit(ast, &mut wanted) {
        return Err(error);
    }
    let mut declared = declared.to_vec();
    for version in &wanted.versions {
        let plan = version.plan(state).await?;
        constants::declare_parameters(&mut declared, &plan, |name| version.direct_type(name))?;
    }
    Ok(declared)
}

/// One version as a statement gives it: an expression without columns.
struct Given {
    value: Expr,
    by_number: bool,
}

impl Given {
    fn of(version: &TableVersion) -> Result<Given> {
        match version {
            TableVersion::VersionAsOf(value) => Ok(Given { value: value.clone(), by_number: true }),
            TableVersion::TimestampAsOf(value) | TableVersion::ForSystemTimeAsOf(value) => {
                Ok(Given { value: value.clone(), by_number: false })
            }
            other => Err(Error::unsupported(format!("the version {other}"))
                .with_hint("Write VERSION AS OF <number> or TIMESTAMP AS OF <time>.")),
        }
    }

    fn clause(&self) -> &'static str {
        if self.by_number { "VERSION AS OF" } else { "TIMESTAMP AS OF" }
    }

    /// The type of `$n` where it is the whole version.
    fn direct_type(&self, name: &str) -> Option<DataType> {
        let Expr::Value(value) = &self.value else { return None };
        (value.value.to_string() == name).then(|| match self.by_number {
            true => DataType::Int64,
            false => moment_type(),
        })
    }

    /// Its value, cast to the type that a version or a moment has.
    async fn plan(&self, state: &SessionState) -> Result<LogicalPlan> {
        let data_type = match self.by_number {
            true => SqlType::BigInt(None),
            false => SqlType::Timestamp(None, TimezoneInfo::WithTimeZone),
        };
        let cast = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(self.value.clone()),
            data_type,
            array: false,
            format: None,
        };
        constants::plan(state, cast, self.clause()).await
    }
}

/// The moment that an expression means, now. The newest when it depends on parameters that aren't known yet.
async fn moment(state: &SessionState, given: Given, parameters: Option<&[ScalarValue]>) -> Result<At> {
    let plan = given.plan(state).await?;
    match constants::value(state, plan, parameters).await? {
        Some(value) => at(&value, given.by_number, given.clause()),
        None => Ok(At::Newest),
    }
}

/// A version or a moment. `place` is what the value was given to.
pub(crate) fn at(value: &ScalarValue, by_number: bool, place: &str) -> Result<At> {
    if value.is_null() {
        return Err(Error::new(Kind::NullValueNotAllowed, format!("argument of {place} must not be null")));
    }
    if by_number {
        let ScalarValue::Int64(Some(number)) = value.cast_to(&DataType::Int64)? else {
            return Err(Error::internal("a version that is no number"));
        };
        return u64::try_from(number).map(At::Version).map_err(|_| {
            Error::new(Kind::InvalidParameterValue, "a table's version must not be negative")
                .with_detail(format!("It was given as {number}."))
        });
    }
    match value.cast_to(&moment_type())? {
        ScalarValue::TimestampMicrosecond(Some(micros), _) => Ok(At::Timestamp(micros)),
        _ => Err(Error::internal("a moment that is no timestamp")),
    }
}

pub(crate) fn moment_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
}

/// The versions of a statement in the order of their tables, checked for tables that have none.
#[derive(Default)]
struct Wanted {
    versions: Vec<Given>,
    scopes: Vec<Scope>,
}

/// WITH queries that may be named in a query; those of its own WITH become visible one after the other.
#[derive(Default)]
struct Scope {
    names: Vec<String>,
    visible: usize,
    recursive: bool,
}

impl Scope {
    fn has(&self, name: &str) -> bool {
        let visible = if self.recursive { self.names.len() } else { self.visible };
        self.names.iter().take(visible).any(|known| known == name)
    }
}

impl Visitor for Wanted {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let with = query.with.as_ref();
        let names = with.iter().flat_map(|with| &with.cte_tables).map(|cte| folded(&cte.alias.name)).collect();
        self.scopes.push(Scope { names, visible: 0, recursive: with.is_some_and(|with| with.recursive) });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
        self.scopes.pop();
        // The queries of a WITH are visited before what follows it.
        if let Some(outer) = self.scopes.last_mut() {
            outer.visible = (outer.visible + 1).min(outer.names.len());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        let factors = select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
        let mut seen: Vec<(String, bool)> = vec![];
        for (shown, versioned) in factors.filter_map(shown_name) {
            if seen.iter().any(|(known, other)| *known == shown && (versioned || *other)) {
                return ControlFlow::Break(
                    Error::new(Kind::DuplicateAlias, format!("table name \"{shown}\" specified more than once"))
                        .with_hint("Give each version an alias of its own: t VERSION AS OF 1 AS before."),
                );
            }
            seen.push((shown, versioned));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, version: Some(version), .. } = factor else { return ControlFlow::Continue(()) };
        match self.check(name).and_then(|()| Given::of(version)) {
            Ok(given) => {
                self.versions.push(given);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The name by which a table's columns are told from others', and whether it has a version.
fn shown_name(factor: &TableFactor) -> Option<(String, bool)> {
    let TableFactor::Table { name, alias, version, .. } = factor else { return None };
    let shown = alias.as_ref().map(|alias| &alias.name).or_else(|| name.0.last()?.as_ident())?;
    Some((folded(shown), version.is_some()))
}

impl Wanted {
    fn check(&self, name: &ObjectName) -> Result<()> {
        let parts: Vec<String> = name.0.iter().filter_map(ObjectNamePart::as_ident).map(folded).collect();
        let no_table = |what: &str| {
            Err(Error::new(Kind::WrongObjectType, format!("\"{name}\" has no versions"))
                .with_detail(format!("It is {what}; versions are those of a Delta table.")))
        };
        match parts.as_slice() {
            [bare] if self.scopes.iter().any(|scope| scope.has(bare)) => no_table("a WITH query"),
            [.., schema, _] if RESERVED_SCHEMAS.contains(&schema.as_str()) => no_table("a system table"),
            _ => Ok(()),
        }
    }
}

/// Puts what has been found into the names, in the same order.
struct Names {
    found: std::vec::IntoIter<At>,
}

impl VisitorMut for Names {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, version: version @ Some(_), alias, .. } = factor else {
            return ControlFlow::Continue(());
        };
        *version = None;
        let (Some(at), Some(ObjectNamePart::Identifier(ident))) = (self.found.next(), name.0.last_mut()) else {
            return ControlFlow::Break(Error::unsupported(format!("a version of {name}")));
        };
        let own = TableAlias { explicit: true, name: ident.clone(), columns: vec![], at: None };
        alias.get_or_insert(own);
        *ident = Ident::with_quote('"', versioned_name(&folded(ident), at));
        ControlFlow::Continue(())
    }
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_versions() {
        for at in
            [At::Newest, At::Version(0), At::Version(u64::MAX), At::Timestamp(-1), At::Timestamp(1_767_225_600_000_000)]
        {
            assert_eq!(split(&versioned_name("a b", at)), ("a b", at));
        }
        assert_eq!(split("t\u{1e}x"), ("t\u{1e}x", At::Newest));
    }
}
