//! `SHOW CATALOGS`, `SHOW SCHEMAS`, `SHOW TABLES`: the names there are, of this database or of an attached one.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    ObjectName, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementOptions, Statement as Ast,
};

use super::{Described, Usage, target};
use crate::catalog::{Attachment, Relation};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::planning::{CATALOG, TEMPORARY_SCHEMA, TemporaryRelation, attached, search_path};
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "SHOW TABLES",
    usage: "SHOW {CATALOGS | SCHEMAS [IN <catalog>] | {TABLES | VIEWS} [IN [<catalog>.]<schema>]} [LIKE '<pattern>']",
};

/// What is shown, if it is something of this file's.
fn columns(ast: &Ast) -> Option<&'static [&'static str]> {
    match ast {
        Ast::ShowCatalogs { .. } | Ast::ShowDatabases { .. } => Some(&["catalog", "location"]),
        Ast::ShowSchemas { .. } => Some(&["schema"]),
        Ast::ShowTables { .. } | Ast::ShowViews { .. } => Some(&["schema", "name", "kind"]),
        _ => None,
    }
}

fn schema(names: &[&str]) -> SchemaRef {
    let field = |name: &&str| Field::new(*name, DataType::Utf8, *name == "location");
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}

pub(super) fn describe(ast: &Ast) -> Option<Described> {
    Some(Described::rows(schema(columns(ast)?), vec![]))
}

pub(super) async fn run(session: &Session, ast: &Ast) -> Result<Execution> {
    let (mut rows, options) = match ast {
        Ast::ShowCatalogs { show_options, .. } | Ast::ShowDatabases { show_options, .. } => {
            (catalogs(session), show_options)
        }
        Ast::ShowSchemas { show_options, .. } => (schemas(session, within(show_options)).await?, show_options),
        Ast::ShowTables { show_options, .. } => (tables(session, within(show_options)).await?, show_options),
        Ast::ShowViews { show_options, materialized: false, .. } => {
            let mut rows = tables(session, within(show_options)).await?;
            rows.retain(|row| row.get(2).and_then(Option::as_deref).is_some_and(|kind| kind.ends_with("view")));
            (rows, show_options)
        }
        other => return Err(Error::unsupported(format!("{other}"))),
    };
    if options.limit.is_some() || options.starts_with.is_some() || options.limit_from.is_some() {
        return Err(Error::unsupported("LIMIT and STARTS WITH in SHOW").with_hint("Use LIKE."));
    }
    let names = columns(ast).unwrap_or_default();
    let name_at = if names.len() == 3 { 1 } else { 0 };
    if let Some(pattern) = pattern(options)? {
        rows.retain(|row| row.get(name_at).and_then(Option::as_deref).is_some_and(|name| like(name, &pattern)));
    }
    let column = |index: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row.get(index).cloned().flatten()).collect::<StringArray>())
    };
    let columns = (0..names.len()).map(column).collect();
    Ok(Execution::batch("SHOW", RecordBatch::try_new(schema(names), columns)?))
}

type Row = Vec<Option<String>>;

fn catalogs(session: &Session) -> Vec<Row> {
    let snapshot = session.engine.catalog.snapshot();
    let own = vec![Some(CATALOG.to_owned()), None];
    let others = snapshot.attachments.values();
    let others = others.map(|other| vec![Some(other.name.clone()), Some(other.location.to_string())]);
    std::iter::once(own).chain(others).collect()
}

async fn schemas(session: &Session, within: Option<&ObjectName>) -> Result<Vec<Row>> {
    let mut names: Vec<String> = match within {
        None => own_schemas(session),
        Some(name) => match target::parts(name)?.as_slice() {
            [catalog] if catalog == CATALOG => own_schemas(session),
            [catalog] => attached::relations(&attachment(session, catalog)?)
                .await?
                .into_iter()
                .map(|(schema, _)| schema)
                .collect(),
            _ => return Err(Error::new(Kind::SyntaxError, format!("a catalog's name has one part: {name}"))),
        },
    };
    names.sort();
    names.dedup();
    Ok(names.into_iter().map(|name| vec![Some(name)]).collect())
}

fn own_schemas(session: &Session) -> Vec<String> {
    let names = session.engine.catalog.snapshot().schemas.keys().cloned().collect::<Vec<_>>();
    let system = ["information_schema".to_owned(), "system".to_owned()];
    names.into_iter().chain(system).collect()
}

fn attachment(session: &Session, name: &str) -> Result<Attachment> {
    let found = session.engine.catalog.snapshot().attachments.get(name).cloned();
    found.ok_or_else(|| Error::new(Kind::UndefinedObject, format!("there is no catalog \"{name}\"")))
}

async fn tables(session: &Session, within: Option<&ObjectName>) -> Result<Vec<Row>> {
    let row = |schema: &str, name: &str, kind: &str| {
        vec![Some(schema.to_owned()), Some(name.to_owned()), Some(kind.to_owned())]
    };
    let parts = within.map(target::parts).transpose()?.unwrap_or_default();
    let of_attached = |relations: Vec<(String, String)>, wanted: Option<&str>| {
        let wanted = relations.into_iter().filter(|(schema, _)| wanted.is_none_or(|wanted| wanted == schema));
        wanted.map(|(schema, name)| row(&schema, &name, "attached table")).collect::<Vec<_>>()
    };
    let snapshot = session.engine.catalog.snapshot();
    let wanted: Vec<String> = match parts.as_slice() {
        [] => search_path(&session.settings.lock(), &session.engine),
        [catalog, schema] if catalog == CATALOG => vec![schema.clone()],
        [schema] if snapshot.schemas.contains_key(schema) || schema == TEMPORARY_SCHEMA => vec![schema.clone()],
        [catalog] if snapshot.attachments.contains_key(catalog) => {
            return Ok(of_attached(attached::relations(&attachment(session, catalog)?).await?, None));
        }
        [schema] => return Err(Error::new(Kind::UndefinedSchema, format!("schema \"{schema}\" does not exist"))),
        [catalog, schema] => {
            return Ok(of_attached(attached::relations(&attachment(session, catalog)?).await?, Some(schema)));
        }
        _ => return Err(Error::new(Kind::SyntaxError, "a schema's name has at most two parts")),
    };
    let mut rows = vec![];
    if parts.is_empty() || wanted.iter().any(|schema| schema == TEMPORARY_SCHEMA) {
        for name in session.temporary.names() {
            let view = matches!(session.temporary.find(&name), Some(TemporaryRelation::View(_)));
            rows.push(row(TEMPORARY_SCHEMA, &name, if view { "temporary view" } else { "temporary table" }));
        }
    }
    for name in wanted.iter().filter(|schema| *schema != TEMPORARY_SCHEMA) {
        let Some(schema) = snapshot.schemas.get(name) else {
            return Err(Error::new(Kind::UndefinedSchema, format!("schema \"{name}\" does not exist")));
        };
        let mut relations: Vec<Relation<'_>> = schema.tables.values().map(Relation::Table).collect();
        relations.extend(schema.views.values().map(Relation::View));
        relations.sort_by(|left, right| left.name().cmp(right.name()));
        rows.extend(relations.iter().map(|relation| match relation {
            Relation::Table(table) => row(name, &table.name, &format!("{} table", table.kind.name())),
            Relation::View(view) => row(name, &view.name, "view"),
        }));
    }
    Ok(rows)
}

fn within(options: &ShowStatementOptions) -> Option<&ObjectName> {
    options.show_in.as_ref()?.parent_name.as_ref()
}

fn pattern(options: &ShowStatementOptions) -> Result<Option<String>> {
    let filter = match &options.filter_position {
        None => return Ok(None),
        Some(ShowStatementFilterPosition::Infix(filter) | ShowStatementFilterPosition::Suffix(filter)) => filter,
    };
    match filter {
        ShowStatementFilter::Like(pattern) | ShowStatementFilter::NoKeyword(pattern) => Ok(Some(pattern.clone())),
        ShowStatementFilter::ILike(pattern) => Ok(Some(pattern.to_lowercase())),
        ShowStatementFilter::Where(_) => {
            Err(Error::unsupported("WHERE in SHOW").with_hint("Query information_schema.tables."))
        }
    }
}

/// SQL's LIKE: `%` any text, `_` any letter. In time that grows with the product of both lengths at most.
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut reached = vec![false; text.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for wanted in pattern.chars() {
        let mut following = vec![false; text.len() + 1];
        let mut any = false;
        for (place, here) in reached.iter().enumerate() {
            any |= *here;
            let letter = text.get(place);
            if wanted == '%' {
                if let Some(slot) = following.get_mut(place) {
                    *slot = any;
                }
            } else if *here
                && letter.is_some_and(|letter| wanted == '_' || *letter == wanted)
                && let Some(slot) = following.get_mut(place + 1)
            {
                *slot = true;
            }
        }
        reached = following;
    }
    reached.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, pattern, expected) in [
            ("orders", "ord%", true),
            ("orders", "%der_", true),
            ("orders", "ord", false),
            ("", "%", true),
            ("a", "", false),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} {pattern}");
        }
    }
}
