//! Creating, renaming and dropping schemas.

use async_trait::async_trait;

use super::comments::set_comment;
use super::relations::{Dropped, dependents_exist, drop_all};
use super::{Change, Draft, check_name, execute};
use crate::catalog::entry::{DEFAULT_SCHEMA, RESERVED_SCHEMAS, SchemaEntry};
use crate::catalog::store;
use crate::error::{Error, Kind, Result};

pub(in crate::catalog) struct CreateSchema {
    pub name: String,
}

#[async_trait]
impl Change for CreateSchema {
    type Output = ();

    async fn apply(self, draft: &mut Draft<'_>) -> Result<()> {
        let name = self.name;
        check_new_schema(draft, &name)?;
        let oid = store::next_oid(draft.connection).await?;
        execute(draft, sqlx::query("INSERT INTO schemas (oid, name) VALUES (?, ?)").bind(oid).bind(&name)).await?;
        draft.snapshot.schemas.insert(name.clone(), SchemaEntry::new(oid, name));
        Ok(())
    }
}

fn check_new_schema(draft: &Draft<'_>, name: &str) -> Result<()> {
    check_name("schema", name)?;
    if RESERVED_SCHEMAS.contains(&name) || draft.snapshot.schemas.contains_key(name) {
        return Err(Error::new(Kind::DuplicateSchema, format!("schema \"{name}\" already exists")));
    }
    if name.starts_with("pg_") {
        return Err(Error::new(Kind::InvalidParameterValue, format!("unacceptable schema name \"{name}\""))
            .with_detail("The prefix \"pg_\" is reserved for system schemas."));
    }
    Ok(())
}

pub(in crate::catalog) struct DropSchemas {
    pub names: Vec<String>,
    pub cascade: bool,
}

#[async_trait]
impl Change for DropSchemas {
    type Output = Dropped;

    async fn apply(self, draft: &mut Draft<'_>) -> Result<Dropped> {
        let mut oids = vec![];
        for name in &self.names {
            check_droppable(name)?;
            let schema = draft.snapshot.schemas.get(name).ok_or_else(|| undefined_schema(name))?;
            oids.extend(schema.tables.values().map(|table| table.oid));
            oids.extend(schema.views.values().map(|view| view.oid));
            if !(self.cascade || schema.tables.is_empty() && schema.views.is_empty()) {
                return Err(dependent_relations(schema));
            }
        }
        let dropped = drop_all(draft, &oids, self.cascade, &format!("schema {}", self.names.join(", "))).await?;
        for name in &self.names {
            let Some(schema) = draft.snapshot.schemas.remove(name) else { continue };
            set_comment(draft, schema.oid, "", None).await?;
            execute(draft, sqlx::query("DELETE FROM schemas WHERE oid = ?").bind(schema.oid)).await?;
        }
        Ok(dropped)
    }
}

fn check_droppable(name: &str) -> Result<()> {
    if name == DEFAULT_SCHEMA || RESERVED_SCHEMAS.contains(&name) {
        return Err(Error::new(
            Kind::DependentObjectsExist,
            format!("cannot drop schema {name} because it is required by the database system"),
        ));
    }
    Ok(())
}

pub(in crate::catalog) struct RenameSchema {
    pub name: String,
    pub to: String,
}

#[async_trait]
impl Change for RenameSchema {
    type Output = ();

    async fn apply(self, draft: &mut Draft<'_>) -> Result<()> {
        let RenameSchema { name, to } = self;
        check_droppable(&name).map_err(|error| Error { message: error.message.replace("drop", "rename"), ..error })?;
        check_new_schema(draft, &to)?;
        let mut schema = draft.snapshot.schemas.remove(&name).ok_or_else(|| undefined_schema(&name))?;
        execute(draft, sqlx::query("UPDATE schemas SET name = ? WHERE oid = ?").bind(&to).bind(schema.oid)).await?;
        schema.name = to.clone();
        for table in schema.tables.values_mut() {
            table.schema = to.clone();
        }
        for view in schema.views.values_mut() {
            std::sync::Arc::make_mut(view).schema = to.clone();
        }
        draft.snapshot.schemas.insert(to, schema);
        Ok(())
    }
}

pub(super) fn undefined_schema(name: &str) -> Error {
    Error::new(Kind::UndefinedSchema, format!("schema \"{name}\" does not exist"))
}

fn dependent_relations(schema: &SchemaEntry) -> Error {
    let name = &schema.name;
    let tables = schema.tables.keys().map(|table| format!("table {name}.{table} depends on schema {name}"));
    let views = schema.views.keys().map(|view| format!("view {name}.{view} depends on schema {name}"));
    dependents_exist(&format!("schema {name}"), &tables.chain(views).collect::<Vec<_>>())
}
