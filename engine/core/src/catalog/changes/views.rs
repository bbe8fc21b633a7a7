//! Registering a view, and replacing one.

use std::sync::Arc;

use arrow_schema::Schema;
use async_trait::async_trait;

use super::relations::wrong_type;
use super::schemas::undefined_schema;
use super::{Change, Draft, check_name, check_writable_schema, execute};
use crate::catalog::entry::{NewView, ViewEntry};
use crate::catalog::store;
use crate::error::{Error, Kind, Result};

pub(in crate::catalog) struct PutView {
    pub view: NewView,
}

#[async_trait]
impl Change for PutView {
    type Output = Arc<ViewEntry>;

    async fn apply(self, draft: &mut Draft<'_>) -> Result<Arc<ViewEntry>> {
        let NewView { schema, name, query, columns, uses, or_replace } = self.view;
        check_writable_schema(&schema)?;
        check_name("view", &name)?;
        let holder = draft.snapshot.schemas.get(&schema).ok_or_else(|| undefined_schema(&schema))?;
        let schema_oid = holder.oid;
        let replaced = holder.views.get(&name).cloned();
        if holder.tables.contains_key(&name) && or_replace {
            return Err(wrong_type(&name, "view"));
        }
        if holder.tables.contains_key(&name) || (replaced.is_some() && !or_replace) {
            return Err(Error::new(Kind::DuplicateTable, format!("relation \"{name}\" already exists")));
        }
        // What it uses may have gone since it was planned.
        let gone = uses.relations.iter().find(|used| draft.snapshot.relation_of(used.oid).is_none());
        if let Some(used) = gone {
            return Err(Error::new(Kind::UndefinedTable, format!("relation \"{}\" does not exist", used.name)));
        }
        let oid = match &replaced {
            Some(view) => {
                check_columns(&view.columns, &columns)?;
                let users = draft.snapshot.dependents(&[view.oid]);
                if uses.oids().any(|oid| oid == view.oid || users.iter().any(|user| user.oid == oid)) {
                    return Err(Error::new(
                        Kind::InvalidTableDefinition,
                        format!("view \"{name}\" can't be made from itself"),
                    ));
                }
                view.oid
            }
            None => store::next_oid(draft.connection).await?,
        };
        let entry = Arc::new(ViewEntry { oid, schema, name, query, columns, uses });
        write_row(draft, &entry, schema_oid).await?;
        if let Some(schema) = draft.snapshot.schemas.get_mut(&entry.schema) {
            schema.views.insert(entry.name.clone(), Arc::clone(&entry));
        }
        Ok(entry)
    }
}

async fn write_row(draft: &mut Draft<'_>, view: &ViewEntry, schema_oid: u32) -> Result<()> {
    let insert = sqlx::query(
        "INSERT OR REPLACE INTO views (oid, schema_oid, name, query, columns, uses) VALUES (?, ?, ?, ?, ?, ?)",
    );
    let insert = insert.bind(view.oid).bind(schema_oid).bind(&view.name).bind(&view.query);
    let insert = insert.bind(store::to_json(view.columns.as_ref())?).bind(store::to_json(&view.uses)?);
    execute(draft, insert).await
}

/// What uses a view relies on its columns: a new one may only add some at the end.
fn check_columns(before: &Schema, after: &Schema) -> Result<()> {
    let invalid = |message: String| Err(Error::new(Kind::InvalidTableDefinition, message));
    if after.fields().len() < before.fields().len() {
        return invalid("cannot drop columns from view".to_owned());
    }
    for (before, after) in before.fields().iter().zip(after.fields()) {
        if before.name() != after.name() {
            let message = format!("cannot change name of view column \"{}\" to \"{}\"", before.name(), after.name());
            return Err(Error::new(Kind::InvalidTableDefinition, message)
                .with_hint("Drop the view and make it anew, or keep the name with AS."));
        }
        if before.data_type() != after.data_type() {
            let name = |field: &arrow_schema::FieldRef| alluvia_udfs::pg::pg_type_name(field.data_type());
            let (from, to) = (name(before), name(after));
            return invalid(format!(
                "cannot change data type of view column \"{}\" from {from} to {to}",
                before.name()
            ));
        }
    }
    Ok(())
}
