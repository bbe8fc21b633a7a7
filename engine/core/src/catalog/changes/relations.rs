//! What tables and views have in common: they are dropped and renamed alike, and views may use either.

use std::sync::Arc;

use async_trait::async_trait;

use super::comments::forget_comments;
use super::folders::mark_unfinished;
use super::schemas::undefined_schema;
use super::{Change, Draft, check_name, check_writable_schema, execute};
use crate::catalog::entry::{TableEntry, ViewEntry};
use crate::catalog::snapshot::{CatalogSnapshot, Relation};
use crate::error::{Error, Kind, Result};

/// How many of the dependents an error names.
const NAMED_MAX: usize = 10;

/// What a DROP took.
#[derive(Clone, Debug, Default)]
pub struct Dropped {
    /// Their files are the caller's to discard.
    pub tables: Vec<TableEntry>,
    pub views: Vec<Arc<ViewEntry>>,
    /// `view public.v`, for each that went only because of CASCADE.
    pub cascaded: Vec<String>,
}

pub(in crate::catalog) struct DropRelations {
    /// `table` or `view`.
    pub kind: &'static str,
    pub names: Vec<(String, String)>,
    pub cascade: bool,
}

#[async_trait]
impl Change for DropRelations {
    type Output = Dropped;

    async fn apply(self, draft: &mut Draft<'_>) -> Result<Dropped> {
        let mut oids = vec![];
        for (schema, name) in &self.names {
            check_writable_schema(schema)?;
            let relation = draft.snapshot.relation(schema, name);
            let relation = relation.ok_or_else(|| undefined(self.kind, name))?;
            if relation.kind() != self.kind {
                return Err(wrong_type(name, self.kind));
            }
            oids.push(relation.oid());
        }
        let names: Vec<String> = self.names.iter().map(|(_, name)| name.clone()).collect();
        drop_all(draft, &oids, self.cascade, &format!("{} {}", self.kind, names.join(", "))).await
    }
}

/// Takes the relations of these OIDs; with `cascade`, those that use them too.
pub(super) async fn drop_all(draft: &mut Draft<'_>, oids: &[u32], cascade: bool, what: &str) -> Result<Dropped> {
    let dependents = draft.snapshot.dependents(oids);
    if !cascade && !dependents.is_empty() {
        return Err(dependents_exist(what, &used_by(draft.snapshot, oids, what)));
    }
    let cascaded = dependents.iter().map(|view| format!("view {}.{}", view.schema, view.name)).collect();
    let mut dropped = Dropped { cascaded, ..Dropped::default() };
    for oid in oids.iter().copied().chain(dependents.iter().map(|view| view.oid)) {
        let Some(relation) = draft.snapshot.relation_of(oid) else { continue };
        let (schema, name) = (relation.schema().to_owned(), relation.name().to_owned());
        let Some(schema) = draft.snapshot.schemas.get_mut(&schema) else { continue };
        if let Some(table) = schema.tables.remove(&name) {
            execute(draft, sqlx::query("DELETE FROM tables WHERE oid = ?").bind(oid)).await?;
            mark_unfinished(draft, &table).await?;
            dropped.tables.push(table);
        } else if let Some(view) = schema.views.remove(&name) {
            execute(draft, sqlx::query("DELETE FROM views WHERE oid = ?").bind(oid)).await?;
            dropped.views.push(view);
        }
        forget_comments(draft, oid).await?;
    }
    Ok(dropped)
}

pub(in crate::catalog) struct RenameRelation {
    /// Schema and name.
    pub from: (String, String),
    pub to: (String, String),
}

#[async_trait]
impl Change for RenameRelation {
    type Output = ();

    async fn apply(self, draft: &mut Draft<'_>) -> Result<()> {
        let RenameRelation { from, to } = self;
        for schema in [&from.0, &to.0] {
            check_writable_schema(schema)?;
        }
        let relation = draft.snapshot.relation(&from.0, &from.1).ok_or_else(|| undefined("relation", &from.1))?;
        let (oid, kind) = (relation.oid(), relation.kind());
        check_name(kind, &to.1)?;
        let schema_oid = draft.snapshot.schemas.get(&to.0).ok_or_else(|| undefined_schema(&to.0))?.oid;
        if draft.snapshot.relation(&to.0, &to.1).is_some() {
            return Err(Error::new(Kind::DuplicateTable, format!("relation \"{}\" already exists", to.1)));
        }
        let update = match relation {
            Relation::Table(_) => "UPDATE tables SET schema_oid = ?, name = ? WHERE oid = ?",
            Relation::View(_) => "UPDATE views SET schema_oid = ?, name = ? WHERE oid = ?",
        };
        execute(draft, sqlx::query(update).bind(schema_oid).bind(&to.1).bind(oid)).await?;
        let schemas = &mut draft.snapshot.schemas;
        let Some(source) = schemas.get_mut(&from.0) else { return Ok(()) };
        let (table, view) = (source.tables.remove(&from.1), source.views.remove(&from.1));
        let Some(holder) = schemas.get_mut(&to.0) else { return Ok(()) };
        if let Some(table) = table {
            let table = TableEntry { schema: to.0, name: to.1.clone(), ..table };
            holder.tables.insert(to.1, table);
        } else if let Some(mut view) = view {
            let entry = Arc::make_mut(&mut view);
            (entry.schema, entry.name) = (to.0, to.1.clone());
            holder.views.insert(to.1, view);
        }
        Ok(())
    }
}

/// A line for each view that uses one of `oids` directly or through others.
pub(super) fn used_by(snapshot: &CatalogSnapshot, oids: &[u32], what: &str) -> Vec<String> {
    let used = |view: &ViewEntry| {
        let direct = view.uses.oids().find(|oid| oids.contains(oid));
        let oid = direct.or_else(|| view.uses.oids().next()).unwrap_or_default();
        match snapshot.relation_of(oid) {
            Some(relation) => format!("{} {}", relation.kind(), relation.name()),
            None => what.to_owned(),
        }
    };
    let views = snapshot.dependents(oids);
    views.iter().map(|view| format!("view {} depends on {}", view.name, used(view))).collect()
}

pub(super) fn dependents_exist(what: &str, lines: &[String]) -> Error {
    let mut shown: Vec<String> = lines.iter().take(NAMED_MAX).cloned().collect();
    if lines.len() > NAMED_MAX {
        shown.push(format!("and {} other objects", lines.len() - NAMED_MAX));
    }
    Error::new(Kind::DependentObjectsExist, format!("cannot drop {what} because other objects depend on it"))
        .with_detail(shown.join("\n"))
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
}

pub(super) fn undefined(kind: &str, name: &str) -> Error {
    Error::new(Kind::UndefinedTable, format!("{kind} \"{name}\" does not exist"))
}

pub(super) fn wrong_type(name: &str, expected: &str) -> Error {
    let (article, other) = if expected == "table" { ("a", "view") } else { ("a", "table") };
    Error::new(Kind::WrongObjectType, format!("\"{name}\" is not {article} {expected}"))
        .with_hint(format!("Use the same statement for a {other}: {}.", other.to_uppercase()))
}
