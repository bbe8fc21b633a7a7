//! `COPY ... FROM` files of a format that holds names and types: an INSERT of their rows, column by name.

use std::sync::Arc;

use alluvia_lake::{Format, Reading, storable_schema};
use arrow::datatypes::{FieldRef, Fields, Schema};
use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::Statement as Ast;
use futures::future::BoxFuture;

use super::file_options;
use super::load::{TableColumns, target_of};
use super::parse::{Copy, Source};
use super::send::quoted;
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::parser::{self, StatementKind};
use crate::session::Session;
use crate::statements::insert;
use crate::table_functions;

/// Boxed by its type, because the way leads from statements to this one and back.
pub(super) fn run<'a>(
    session: &'a Session,
    state: &'a SessionState,
    copy: &'a Copy,
    format: Format,
    path: &'a str,
) -> BoxFuture<'a, Result<Execution>> {
    Box::pin(async move {
        let Source::Table { name, columns } = &copy.source else {
            return Err(Error::internal("COPY FROM of a query"));
        };
        target_of(session, name)?;
        let table = TableColumns::find(session, state, name).await?;
        let fields = table.chosen(columns)?;
        let reading = Reading {
            format,
            paths: vec![path.to_owned()],
            options: file_options(copy)?,
            columns: None,
            partition_columns: None,
        };
        let expected = Expected { table: &table.table, fields: &fields, all: columns.is_empty() };
        let files = expected.open(session, state, reading).await?;
        let mut state = state.clone();
        let files = table_functions::register(&mut state, files);
        let names: Vec<String> = fields.iter().map(|field| quoted(field.name())).collect();
        let names = names.join(", ");
        let sql = format!("INSERT INTO {name} ({names}) SELECT {names} FROM {}", quoted(&files));
        let Some(StatementKind::Sql(ast)) = parser::parse(&sql)?.pop().map(|statement| statement.kind) else {
            return Err(Error::internal("COPY FROM without its INSERT"));
        };
        let Ast::Insert(insert) = *ast else { return Err(Error::internal("COPY FROM without its INSERT")) };
        let rows = insert::rows(session, &state, &insert).await?;
        Ok(Execution::done(format!("COPY {rows}")))
    })
}

/// What the files are to hold.
struct Expected<'a> {
    table: &'a str,
    fields: &'a [FieldRef],
    /// Whether nobody has named the columns, so that a file's others would be lost unnoticed.
    all: bool,
}

impl Expected<'_> {
    async fn open(&self, session: &Session, state: &SessionState, reading: Reading) -> Result<Arc<dyn TableProvider>> {
        let lake = &session.engine.lake;
        if reading.format != Format::Json {
            let files = lake.files(reading, state).await?;
            self.check_unknown(&files.schema())?;
            self.check_missing(&files.schema())?;
            return Ok(files);
        }
        // Its values take the table's types, and what an object doesn't name is NULL. A file without objects tells no
        // columns.
        if let Ok(files) = lake.files(reading.clone(), state).await {
            self.check_unknown(&files.schema())?;
        }
        let fields: Fields =
            self.fields.iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect();
        let columns = Some(storable_schema(&Schema::new(fields))?);
        Ok(lake.files(Reading { columns, ..reading }, state).await?)
    }

    fn check_unknown(&self, found: &Schema) -> Result<()> {
        let known = |name: &str| self.fields.iter().any(|field| field.name() == name);
        match found.fields().iter().find(|field| !known(field.name())) {
            Some(field) if self.all => {
                let message = format!("column \"{}\" of relation \"{}\" does not exist", field.name(), self.table);
                Err(Error::new(Kind::UndefinedColumn, message)
                    .with_detail("The file has it, and columns go by name.")
                    .with_hint("Name the columns to take: COPY table (column, ...) FROM ..."))
            }
            _ => Ok(()),
        }
    }

    fn check_missing(&self, found: &Schema) -> Result<()> {
        match self.fields.iter().find(|field| found.field_with_name(field.name()).is_err()) {
            Some(field) => {
                let message = format!("column \"{}\" does not exist in the file", field.name());
                Err(Error::new(Kind::UndefinedColumn, message)
                    .with_hint("Name the columns that it has: COPY table (column, ...) FROM ..."))
            }
            None => Ok(()),
        }
    }
}
