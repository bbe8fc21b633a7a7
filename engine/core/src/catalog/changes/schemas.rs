//! `CREATE SCHEMA` and `DROP SCHEMA`.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::folders::mark_unfinished;
use super::{Change, Draft, check_name};
use crate::catalog::entry::{DEFAULT_SCHEMA, RESERVED_SCHEMAS, SchemaEntry, TableEntry};
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
        check_name("schema", &name)?;
        if RESERVED_SCHEMAS.contains(&name.as_str()) || draft.snapshot.schemas.contains_key(&name) {
            return Err(Error::new(Kind::DuplicateSchema, format!("schema \"{name}\" already exists")));
        }
        if name.starts_with("pg_") {
            return Err(Error::new(Kind::InvalidParameterValue, format!("unacceptable schema name \"{name}\""))
                .with_detail("The prefix \"pg_\" is reserved for system schemas."));
        }
        let oid = store::next_oid(draft.connection).await?;
        sqlx::query("INSERT INTO schemas (oid, name) VALUES (?, ?)")
            .bind(oid)
            .bind(&name)
            .execute(&mut *draft.connection)
            .await
            .map_err(store::error)?;
        draft.snapshot.schemas.insert(name.clone(), SchemaEntry { oid, name, tables: BTreeMap::new() });
        Ok(())
    }
}

pub(in crate::catalog) struct DropSchema {
    pub name: String,
    pub cascade: bool,
}

#[async_trait]
impl Change for DropSchema {
    type Output = Vec<TableEntry>;

    async fn apply(self, draft: &mut Draft<'_>) -> Result<Vec<TableEntry>> {
        let name = self.name;
        if name == DEFAULT_SCHEMA || RESERVED_SCHEMAS.contains(&name.as_str()) {
            return Err(Error::new(
                Kind::DependentObjectsExist,
                format!("cannot drop schema {name} because it is required by the database system"),
            ));
        }
        let schema = draft.snapshot.schemas.get(&name).ok_or_else(|| undefined_schema(&name))?;
        if !self.cascade && !schema.tables.is_empty() {
            return Err(dependent_tables(schema));
        }
        let schema_oid = schema.oid;
        let tables: Vec<TableEntry> = schema.tables.values().cloned().collect();
        for table in &tables {
            mark_unfinished(draft, table).await?;
        }
        for sql in ["DELETE FROM tables WHERE schema_oid = ?", "DELETE FROM schemas WHERE oid = ?"] {
            sqlx::query(sql).bind(schema_oid).execute(&mut *draft.connection).await.map_err(store::error)?;
        }
        draft.snapshot.schemas.remove(&name);
        Ok(tables)
    }
}

pub(super) fn undefined_schema(name: &str) -> Error {
    Error::new(Kind::UndefinedSchema, format!("schema \"{name}\" does not exist"))
}

fn dependent_tables(schema: &SchemaEntry) -> Error {
    const NAMED_MAX: usize = 10;
    let name = &schema.name;
    let mut lines: Vec<String> = (schema.tables.keys().take(NAMED_MAX))
        .map(|table| format!("table {name}.{table} depends on schema {name}"))
        .collect();
    if schema.tables.len() > NAMED_MAX {
        lines.push(format!("and {} other tables", schema.tables.len() - NAMED_MAX));
    }
    Error::new(Kind::DependentObjectsExist, format!("cannot drop schema {name} because other objects depend on it"))
        .with_detail(lines.join("\n"))
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
}
