//! A table's metadata under change. It is edited as the JSON that the log has, so that what this engine doesn't know of
//! stays as it is.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{Action, Metadata, StructField, StructType};
use serde_json::{Map, Value, json};

use super::protocol::{Needs, holds_timestamp_without_zone, raised};
use super::{Alteration, internal};
use crate::definition::{COMMENT, CONSTRAINT_PREFIX, Check};
use crate::error::{Error, Result};
use crate::expressions::mentions;
use crate::properties;
use crate::snapshot::Snapshot;
use crate::types::storable_schema;

const MAPPING_ID: &str = "delta.columnMapping.id";
const MAPPING_NAME: &str = "delta.columnMapping.physicalName";
const MAPPING_ID_MAX: &str = "delta.columnMapping.maxColumnId";

/// What a table is to be.
pub(super) struct Draft {
    metadata: Map<String, Value>,
    columns: Vec<Value>,
    configuration: Map<String, Value>,
    before: (Map<String, Value>, Vec<Value>, Map<String, Value>),
    mapped: bool,
    /// Constraints and generation expressions there are, with what they are called.
    expressions: Vec<(String, String)>,
    needs: Needs,
    /// The columns as rows have them.
    pub schema: Vec<Field>,
    pub new_checks: Vec<Check>,
    /// Columns that become NOT NULL.
    pub new_promises: Vec<String>,
    pub skipped: Vec<String>,
}

impl Draft {
    pub fn of(snapshot: &Snapshot) -> Result<Draft> {
        let Value::Object(mut metadata) = serde_json::to_value(snapshot.state().metadata()).map_err(internal)? else {
            return Err(internal("it is no object"));
        };
        let text = metadata.get("schemaString").and_then(Value::as_str).unwrap_or_default();
        let mut schema: Value = serde_json::from_str(text).map_err(internal)?;
        let Some(Value::Array(columns)) = schema.get_mut("fields").map(Value::take) else {
            return Err(internal("its schema has no fields"));
        };
        let configuration = match metadata.remove("configuration") {
            Some(Value::Object(configuration)) => configuration,
            _ => Map::new(),
        };
        let checks =
            snapshot.checks().iter().map(|check| (format!("constraint {}", check.name), &check.expression_sql));
        let generated = snapshot.generated().iter();
        let generated = generated.map(|one| (format!("generated column {}", one.column), &one.expression_sql));
        let expressions = checks.chain(generated).map(|(name, sql)| (name, sql.clone())).collect();
        Ok(Draft {
            before: (metadata.clone(), columns.clone(), configuration.clone()),
            mapped: snapshot.is_mapped(),
            expressions,
            needs: Needs::default(),
            schema: snapshot.schema().fields().iter().map(|field| field.as_ref().clone()).collect(),
            metadata,
            columns,
            configuration,
            new_checks: vec![],
            new_promises: vec![],
            skipped: vec![],
        })
    }

    pub fn apply(&mut self, alteration: &Alteration) -> Result<()> {
        match alteration {
            Alteration::AddColumn { field, comment, if_not_exists } => {
                self.add_column(field, comment.as_deref(), *if_not_exists)
            }
            Alteration::RenameColumn { from, to } => self.rename_column(from, to),
            Alteration::DropColumn { name, if_exists } => self.drop_column(name, *if_exists),
            Alteration::AddCheck(check) => self.add_check(check),
            Alteration::DropCheck { name, if_exists } => self.drop_check(name, *if_exists),
            Alteration::SetNullable { column, nullable } => self.set_nullable(column, *nullable),
            Alteration::SetProperties(pairs) => {
                properties::check(pairs)?;
                self.needs.change_feed |= pairs.get("delta.enableChangeDataFeed").is_some_and(|on| on == "true");
                let pairs = pairs.iter().map(|(key, value)| (key.clone(), json!(value)));
                self.configuration.extend(pairs);
                Ok(())
            }
            Alteration::UnsetProperties { keys, if_exists } => self.unset(keys, *if_exists),
            Alteration::CommentTable(comment) => {
                match comment {
                    Some(comment) => self.metadata.insert("description".to_owned(), json!(comment)),
                    None => self.metadata.remove("description"),
                };
                Ok(())
            }
            Alteration::CommentColumn { column, comment } => {
                let position = self.position(column)?;
                self.annotate(position, COMMENT, comment.as_ref().map(|comment| json!(comment)));
                Ok(())
            }
        }
    }

    pub fn changed(&self) -> bool {
        self.before.0 != self.metadata || self.before.1 != self.columns || self.before.2 != self.configuration
    }

    /// A column as the log will have it.
    pub fn column(&self, name: &str) -> Option<StructField> {
        let column = self.columns.get(self.find(name)?)?;
        serde_json::from_value(column.clone()).ok()
    }

    pub fn actions(self, snapshot: &Snapshot) -> Result<Vec<Action>> {
        let mut metadata = self.metadata;
        let schema = json!({"type": "struct", "fields": self.columns});
        // The library's own reading of it: what it can't read, nobody shall.
        serde_json::from_value::<StructType>(schema.clone()).map_err(internal)?;
        metadata.insert("schemaString".to_owned(), json!(schema.to_string()));
        metadata.insert("configuration".to_owned(), Value::Object(self.configuration));
        let metadata: Metadata = serde_json::from_value(Value::Object(metadata)).map_err(internal)?;
        let mut actions = vec![Action::Metadata(metadata)];
        actions.extend(raised(snapshot.state().protocol(), self.needs)?.map(Action::Protocol));
        Ok(actions)
    }

    fn add_column(&mut self, field: &Field, comment: Option<&str>, if_not_exists: bool) -> Result<()> {
        let name = field.name();
        if self.find(name).is_some() {
            if if_not_exists {
                self.skipped.push(format!("column \"{name}\" already exists, skipping"));
                return Ok(());
            }
            return Err(Error::DuplicateColumn { column: name.clone() });
        }
        let stored = storable_schema(&Schema::new(vec![field.clone().with_nullable(true)]))?;
        let kernel: StructType = stored
            .as_ref()
            .try_into_kernel()
            .map_err(|error| Error::InvalidDefinition { message: error.to_string() })?;
        let mut json = serde_json::to_value(&kernel).map_err(internal)?;
        let column = json.get_mut("fields").and_then(|fields| fields.get_mut(0)).map(Value::take);
        let stored = stored.fields().first().map(Arc::clone);
        let (Some(column), Some(stored)) = (column, stored) else { return Err(internal("a column has no JSON form")) };
        self.needs.timestamps_without_zone |= holds_timestamp_without_zone(stored.data_type());
        self.columns.push(column);
        let position = self.columns.len() - 1;
        if let Some(comment) = comment {
            self.annotate(position, COMMENT, Some(json!(comment)));
        }
        if self.mapped {
            self.name_in_files(position, &stored)?;
        }
        self.schema.push(stored.as_ref().clone());
        Ok(())
    }

    /// A number and a name in the files of its own, as column mapping wants them.
    fn name_in_files(&mut self, position: usize, field: &Field) -> Result<()> {
        if field.data_type().is_nested() {
            return Err(unsupported("ADD COLUMN of a nested type to a table with column mapping"));
        }
        let newest = self.configuration.get(MAPPING_ID_MAX).and_then(Value::as_str);
        let newest = newest.and_then(|newest| newest.parse::<i64>().ok());
        let Some(id) = newest.and_then(|newest| newest.checked_add(1)) else {
            return Err(unsupported("ADD COLUMN to a table with column mapping that doesn't number its columns"));
        };
        self.configuration.insert(MAPPING_ID_MAX.to_owned(), json!(id.to_string()));
        self.annotate(position, MAPPING_ID, Some(json!(id)));
        let name = format!("col-{}", uuid::Uuid::new_v4());
        self.annotate(position, MAPPING_NAME, Some(json!(name)));
        Ok(())
    }

    fn rename_column(&mut self, from: &str, to: &str) -> Result<()> {
        let position = self.position(from)?;
        if self.find(to).is_some_and(|other| other != position) {
            return Err(Error::DuplicateColumn { column: to.to_owned() });
        }
        self.check_movable("RENAME COLUMN", from)?;
        let old = self.schema.get(position).map(|field| field.name().clone()).unwrap_or_default();
        if let Some(Value::Object(column)) = self.columns.get_mut(position) {
            column.insert("name".to_owned(), json!(to));
        }
        if let Some(field) = self.schema.get_mut(position) {
            *field = field.clone().with_name(to);
        }
        if let Some(Value::Array(partitions)) = self.metadata.get_mut("partitionColumns") {
            for name in partitions.iter_mut().filter(|name| **name == json!(old)) {
                *name = json!(to);
            }
        }
        Ok(())
    }

    fn drop_column(&mut self, name: &str, if_exists: bool) -> Result<()> {
        if if_exists && self.find(name).is_none() {
            self.skipped.push(format!("column \"{name}\" does not exist, skipping"));
            return Ok(());
        }
        let position = self.position(name)?;
        self.check_movable("DROP COLUMN", name)?;
        let partitions = self.metadata.get("partitionColumns").and_then(Value::as_array);
        let partitions = partitions.map_or(0, |partitions| {
            partitions.iter().filter(|column| column.as_str().is_some_and(|column| same(column, name))).count()
        });
        if partitions > 0 || self.columns.len() == 1 {
            let message =
                format!("column \"{name}\" can't be dropped: the table is partitioned by it, or has no other");
            return Err(Error::InvalidDefinition { message });
        }
        self.columns.remove(position);
        self.schema.remove(position);
        Ok(())
    }

    /// Files keep the names they were written with, so only a table that tells the two apart can change its own.
    fn check_movable(&self, what: &str, column: &str) -> Result<()> {
        if !self.mapped {
            return Err(unsupported(&format!("{what} on a table without column mapping")));
        }
        match self.expressions.iter().find(|(_, sql)| mentions(sql, column)) {
            Some((name, _)) => {
                Err(Error::InvalidDefinition { message: format!("column \"{column}\" is used by {name}") })
            }
            None => Ok(()),
        }
    }

    fn add_check(&mut self, check: &Check) -> Result<()> {
        if self.constraint_key(&check.name).is_some() {
            return Err(Error::DuplicateConstraint { constraint: check.name.clone() });
        }
        self.needs.checks = true;
        self.configuration.insert(format!("{CONSTRAINT_PREFIX}{}", check.name), json!(check.expression_sql));
        self.expressions.push((format!("constraint {}", check.name), check.expression_sql.clone()));
        self.new_checks.push(check.clone());
        Ok(())
    }

    fn drop_check(&mut self, name: &str, if_exists: bool) -> Result<()> {
        match self.constraint_key(name) {
            Some(key) => {
                self.configuration.remove(&key);
                self.new_checks.retain(|check| !same(&check.name, name));
                self.expressions.retain(|(known, _)| !same(known, &format!("constraint {name}")));
                Ok(())
            }
            None if if_exists => {
                self.skipped.push(format!("constraint \"{name}\" does not exist, skipping"));
                Ok(())
            }
            None => Err(Error::UndefinedConstraint { constraint: name.to_owned() }),
        }
    }

    fn constraint_key(&self, name: &str) -> Option<String> {
        let is_it = |key: &&String| key.strip_prefix(CONSTRAINT_PREFIX).is_some_and(|known| same(known, name));
        self.configuration.keys().find(is_it).cloned()
    }

    fn set_nullable(&mut self, column: &str, nullable: bool) -> Result<()> {
        let position = self.position(column)?;
        if let Some(Value::Object(json)) = self.columns.get_mut(position) {
            json.insert("nullable".to_owned(), json!(nullable));
        }
        let Some(field) = self.schema.get_mut(position) else { return Ok(()) };
        *field = field.clone().with_nullable(nullable);
        let name = field.name().clone();
        self.new_promises.retain(|known| *known != name);
        if !nullable {
            self.needs.invariants = true;
            self.new_promises.push(name);
        }
        Ok(())
    }

    fn unset(&mut self, keys: &[String], if_exists: bool) -> Result<()> {
        for key in keys {
            if key.starts_with(CONSTRAINT_PREFIX) || key.starts_with("delta.columnMapping.") {
                return Err(unsupported(&format!("UNSET of table property {key}")));
            }
            if self.configuration.remove(key).is_some() {
                continue;
            }
            if !if_exists {
                return Err(Error::InvalidDefinition { message: format!("the table has no property \"{key}\"") });
            }
            self.skipped.push(format!("property \"{key}\" does not exist, skipping"));
        }
        Ok(())
    }

    fn annotate(&mut self, position: usize, key: &str, value: Option<Value>) {
        let Some(Value::Object(column)) = self.columns.get_mut(position) else { return };
        let metadata = column.entry("metadata").or_insert_with(|| json!({}));
        if let Value::Object(metadata) = metadata {
            match value {
                Some(value) => metadata.insert(key.to_owned(), value),
                None => metadata.remove(key),
            };
        }
    }

    /// Names are compared as Delta does, without case; the exact spelling comes first.
    fn find(&self, name: &str) -> Option<usize> {
        let exact = self.schema.iter().position(|field| field.name() == name);
        exact.or_else(|| self.schema.iter().position(|field| same(field.name(), name)))
    }

    fn position(&self, name: &str) -> Result<usize> {
        self.find(name).ok_or_else(|| Error::UndefinedColumn { column: name.to_owned() })
    }
}

fn same(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

fn unsupported(what: &str) -> Error {
    Error::UnsupportedFeature { name: what.to_owned() }
}
