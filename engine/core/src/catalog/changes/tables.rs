//! Registering a table, replacing one, and dropping one.

use async_trait::async_trait;

use super::comments::forget_comments;
use super::folders::{forget, mark_unfinished};
use super::relations::wrong_type;
use super::schemas::undefined_schema;
use super::{Change, Draft, check_name, check_writable_schema};
use crate::catalog::entry::{NewTable, Registered, TableEntry, TableKind, format_name};
use crate::catalog::{folders, store};
use crate::error::{Error, Kind, Result};

pub(in crate::catalog) struct PutTable {
    pub table: NewTable,
}

#[async_trait]
impl Change for PutTable {
    type Output = Registered;

    async fn apply(self, draft: &mut Draft<'_>) -> Result<Registered> {
        let NewTable { schema, name, kind, location, options, columns, or_replace } = self.table;
        check_writable_schema(&schema)?;
        check_name("table", &name)?;
        let holder = draft.snapshot.schemas.get(&schema).ok_or_else(|| undefined_schema(&schema))?;
        let schema_oid = holder.oid;
        if holder.views.contains_key(&name) {
            return Err(match or_replace {
                true => wrong_type(&name, "table"),
                false => Error::new(Kind::DuplicateTable, format!("relation \"{name}\" already exists")),
            });
        }
        let replaced = holder.tables.get(&name).cloned();
        if replaced.is_some() && !or_replace {
            return Err(Error::new(Kind::DuplicateTable, format!("relation \"{name}\" already exists")));
        }
        let oid = match &replaced {
            Some(table) => table.oid,
            None => store::next_oid(draft.connection).await?,
        };
        let entry = TableEntry { oid, schema, name, kind, location, options, columns };
        if let Some(table) = replaced.as_ref().filter(|table| table.location != entry.location) {
            mark_unfinished(draft, table).await?;
        }
        if replaced.is_some() {
            forget_comments(draft, entry.oid).await?;
        }
        write_row(draft, &entry, schema_oid).await?;
        if let Some(schema) = draft.snapshot.schemas.get_mut(&entry.schema) {
            schema.tables.insert(entry.name.clone(), entry.clone());
        }
        Ok(Registered { entry, replaced })
    }
}

/// Writes the table's row, and takes its folder off the list of unfinished ones.
async fn write_row(draft: &mut Draft<'_>, table: &TableEntry, schema_oid: u32) -> Result<()> {
    let location = match table.kind {
        TableKind::Managed => {
            let path = folders::relative_folder(draft.data_dir, &table.location)?;
            forget(draft, &path).await?;
            path
        }
        TableKind::Located | TableKind::External(_) => table.location.to_string(),
    };
    let columns = table.columns.as_ref().map(|columns| store::to_json(columns.as_ref())).transpose()?;
    sqlx::query(
        "INSERT OR REPLACE INTO tables (oid, schema_oid, name, kind, format, location, options, columns)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(table.oid)
    .bind(schema_oid)
    .bind(&table.name)
    .bind(table.kind.name())
    .bind(format_name(table.kind.format()))
    .bind(location)
    .bind(store::to_json(&table.options)?)
    .bind(columns)
    .execute(&mut *draft.connection)
    .await
    .map_err(store::error)?;
    Ok(())
}
