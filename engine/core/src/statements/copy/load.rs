//! `COPY ... FROM STDIN`: which columns the client sends, and the one commit that their rows become.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::TableReference;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

use super::Copying;
use super::format::{CopyFormat, Options};
use super::parse::{Copy, Source};
use super::rows::{self, CopyRows};
use crate::error::{Error, Kind, Result};
use crate::execution::{CommandTag, Execution, Limits};
use crate::session::Session;
use crate::statements::insert;
use crate::statements::target::{self, Target, check_insertable, folded};

/// A COPY that waits for its rows.
pub struct CopyIn {
    /// What each row has, in this order.
    pub columns: SchemaRef,
    pub format: CopyFormat,
    /// The table's name, as errors name it.
    pub table: String,
    target: Target,
    state: SessionState,
    limits: Limits,
    sender: Option<CopyRows>,
    rows: SendableRecordBatchStream,
}

impl CopyIn {
    /// Where the rows go; given once.
    pub fn sender(&mut self) -> Option<CopyRows> {
        self.sender.take()
    }
}

impl std::fmt::Debug for CopyIn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CopyIn").field("target", &self.target).field("format", &self.format).finish()
    }
}

pub(super) async fn run(session: &Session, state: &SessionState, copy: &Copy) -> Result<Execution> {
    let Source::Table { name, columns } = &copy.source else {
        return Err(Error::internal("COPY FROM of a query"));
    };
    let options = Options::read(&copy.options, copy.direction)?;
    let target = target_of(session, name)?;
    let fields = TableColumns::find(session, state, name).await?.chosen(columns)?;
    let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    let format = options.resolve(&names)?;
    // Whether a column takes NULL is for the table to say.
    let fields: Fields = fields.iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect();
    let columns = alluvia_lake::storable_schema(&Schema::new(fields))?;
    let (sender, rows) = rows::channel(&columns, &state.runtime_env().memory_pool);
    let copy = CopyIn {
        columns,
        format,
        table: target.name.clone(),
        target,
        state: state.clone(),
        limits: session.limits(),
        sender: Some(sender),
        rows,
    };
    let execution = Execution::done("COPY");
    Ok(Execution { copy: Some(Copying::In(Box::new(copy))), tag: CommandTag::Rows("COPY"), ..execution })
}

/// The table, found fit for rows before any are asked for.
pub(super) fn target_of(session: &Session, name: &ObjectName) -> Result<Target> {
    let target = Target::existing(session, name)?;
    {
        let transaction = session.transaction.lock();
        transaction.check_writable("COPY FROM")?;
        transaction.check_target(&target.to_string())?;
    }
    // A table that is made in this block has no entry yet.
    if let Ok(entry) = target.entry(session) {
        check_insertable(&entry)?;
    }
    Ok(target)
}

/// Appends the rows that come, in one commit, or none of them; gives their number.
pub(crate) async fn load(session: &Session, copy: CopyIn) -> Result<u64> {
    let CopyIn { target, state, limits, rows, .. } = copy;
    let plan = alluvia_lake::plan_of_rows(&target.name, rows)?;
    limits.guard(insert::append_rows(session, &state, &target, plan)).await
}

/// A table's columns, as COPY sees them.
pub(super) struct TableColumns {
    pub table: String,
    fields: Fields,
    generated: HashSet<String>,
}

impl TableColumns {
    pub async fn find(session: &Session, state: &SessionState, name: &ObjectName) -> Result<TableColumns> {
        let parts = target::parts(name)?;
        let reference = match parts.as_slice() {
            [table] => TableReference::bare(table.as_str()),
            [schema, table] => TableReference::partial(schema.as_str(), table.as_str()),
            [catalog, schema, table] => TableReference::full(catalog.as_str(), schema.as_str(), table.as_str()),
            _ => return Err(Error::unsupported(format!("the name {name}"))),
        };
        let shown = parts.join(".");
        let table = match state.schema_for_ref(reference.clone()) {
            Ok(schema) => schema.table(reference.table()).await?,
            Err(_) => None,
        };
        let missing = || Error::new(Kind::UndefinedTable, format!("relation \"{shown}\" does not exist"));
        let fields = table.ok_or_else(missing)?.schema().fields().clone();
        let generated = insert::generated_columns(session, name).await?;
        Ok(TableColumns { table: parts.last().cloned().unwrap_or_default(), fields, generated })
    }

    /// The columns named, or all that aren't generated.
    pub fn chosen(&self, names: &[Ident]) -> Result<Vec<FieldRef>> {
        if names.is_empty() {
            let plain = self.fields.iter().filter(|field| !self.generated.contains(field.name()));
            return Ok(plain.cloned().collect());
        }
        let mut seen = HashSet::new();
        names.iter().map(folded).map(|name| self.one(name, &mut seen)).collect()
    }

    fn one(&self, name: String, seen: &mut HashSet<String>) -> Result<FieldRef> {
        let missing = || {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", self.table);
            Error::new(Kind::UndefinedColumn, message)
        };
        let (_, field) = self.fields.find(&name).ok_or_else(missing)?;
        if self.generated.contains(&name) {
            let message = format!("column \"{name}\" is a generated column");
            return Err(Error::new(Kind::InvalidColumnReference, message)
                .with_detail("Generated columns cannot be used in COPY.")
                .with_hint("COPY (SELECT ...) TO copies any column."));
        }
        if !seen.insert(name.clone()) {
            return Err(Error::new(Kind::DuplicateColumn, format!("column \"{name}\" specified more than once")));
        }
        Ok(Arc::clone(field))
    }
}
