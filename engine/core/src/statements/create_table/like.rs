//! `CREATE TABLE LIKE`: a new table of another's definition, without its rows.
//!
//! `LIKE t` takes over all of it, as Databricks does: columns, constraints, generated columns, partitions, properties and
//! comments. `(LIKE t)` takes over columns and NOT NULL, and the lengths that types have, as PostgreSQL does.

use std::collections::BTreeMap;

use alluvia_lake::{Format, TableSpec, storable_schema};
use datafusion::sql::sqlparser::ast::{CreateTable, CreateTableLikeDefaults, CreateTableLikeKind};

use super::Storage;
use crate::error::{Error, Kind, Result};
use crate::planning::TEMPORARY_SCHEMA;
use crate::session::Session;
use crate::statements::target::{self, Target};

pub(super) async fn spec(
    session: &Session,
    like: &CreateTableLikeKind,
    table: &CreateTable,
    storage: Storage,
) -> Result<TableSpec> {
    if !table.columns.is_empty() || !table.constraints.is_empty() {
        return Err(Error::unsupported("columns beside LIKE").with_hint("Add them by ALTER TABLE."));
    }
    let (source, whole) = match like {
        CreateTableLikeKind::Plain(source) => (source, true),
        CreateTableLikeKind::Parenthesized(source) => (source, false),
    };
    if let Some(CreateTableLikeDefaults::Including) = source.defaults {
        return Err(Error::unsupported("INCLUDING DEFAULTS").with_hint("No column has a default."));
    }
    let mut spec = definition(session, &source.name, whole).await?;
    if !storage.partition_columns.is_empty() {
        spec.partition_columns = storage.partition_columns;
    }
    spec.properties.extend(storage.properties);
    spec.comment = storage.comment.or(spec.comment);
    Ok(spec)
}

async fn definition(
    session: &Session,
    name: &datafusion::sql::sqlparser::ast::ObjectName,
    whole: bool,
) -> Result<TableSpec> {
    let parts = target::parts(name)?;
    let attached = parts.len() == 3 && parts.first().is_some_and(|catalog| catalog != crate::planning::CATALOG);
    if !attached {
        let target = Target::existing(session, name)?;
        if target.view(session).is_none() {
            let entry = target.entry(session)?;
            if entry.kind.format() == Format::Delta {
                let snapshot = session.engine.lake.open(&entry.location).await?;
                return Ok(of_snapshot(&snapshot, whole));
            }
        }
    }
    // Of views, foreign files and other lakes the columns alone are known.
    let state = session.statement_state();
    let reference = match parts.as_slice() {
        [name] if session.temporary.find(name).is_some() => {
            datafusion::common::TableReference::partial(TEMPORARY_SCHEMA, name.as_str())
        }
        [name] => datafusion::common::TableReference::bare(name.as_str()),
        [schema, name] => datafusion::common::TableReference::partial(schema.as_str(), name.as_str()),
        [catalog, schema, name] => {
            datafusion::common::TableReference::full(catalog.as_str(), schema.as_str(), name.as_str())
        }
        _ => return Err(Error::unsupported(format!("the name {name}"))),
    };
    let undefined = || Error::new(Kind::UndefinedTable, format!("relation \"{name}\" does not exist"));
    let schema = state.schema_for_ref(reference.clone()).map_err(|_| undefined())?;
    let provider = schema.table(reference.table()).await?.ok_or_else(undefined)?;
    Ok(TableSpec::new(storable_schema(&provider.schema())?))
}

fn of_snapshot(snapshot: &alluvia_lake::Snapshot, whole: bool) -> TableSpec {
    let mut spec = TableSpec::new(snapshot.schema());
    spec.checks = snapshot.checks().to_vec();
    if !whole {
        spec.checks.retain(|check| check.name.ends_with("_length"));
        return spec;
    }
    spec.generated = snapshot.generated().to_vec();
    spec.partition_columns = snapshot.partition_columns().to_vec();
    spec.column_comments = snapshot.column_comments();
    spec.comment = snapshot.comment().map(str::to_owned);
    let own = |key: &str| key.starts_with("delta.constraints.") || key.starts_with("delta.columnMapping.");
    let properties = snapshot.properties().iter().filter(|(key, _)| !own(key));
    spec.properties = properties.map(|(key, value)| (key.clone(), value.clone())).collect::<BTreeMap<_, _>>();
    spec
}
