//! `CREATE EXTERNAL TABLE`: somebody else's Delta tables and files, read where they lie.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvia_lake::{Format, PARTITION_COLUMNS};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::sql::parser::CreateExternalTable;
use datafusion::sql::sqlparser::ast::{ColumnDef, ColumnOption, Value};

use super::Usage;
use super::create_table::data_type;
use super::target::{self, Target, folded};
use crate::catalog::{NewTable, TableKind};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::reading::discard_after_readers;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "CREATE EXTERNAL TABLE",
    usage: "CREATE [OR REPLACE] EXTERNAL TABLE [IF NOT EXISTS] <name> [(<column> <type>, ...)] \
            STORED AS {DELTA | PARQUET | CSV | JSON | ARROW} \
            [PARTITIONED BY (<column> [<type>], ...)] LOCATION '<path>' [OPTIONS (<key> <value>, ...)]",
};

pub(super) async fn run(session: &Session, state: &SessionState, table: &CreateExternalTable) -> Result<Execution> {
    let target = Target::of(session, &table.name)?;
    if table.if_not_exists && target.exists(session) {
        return Ok(super::create_table::skipped(&target));
    }
    let format = format(&table.file_type)?;
    check_plain(table)?;
    let [location] = table.locations.as_slice() else {
        return Err(Error::unsupported("an external table with several locations"));
    };
    let location = target::location(location)?;
    let columns = columns(state, &table.columns)?;
    let options = options(table, format)?;
    // Opened once, so that a wrong location or option is an error here and not at each query.
    session.engine.lake.external(format, &location, columns.clone(), &options, state).await?;
    let new = NewTable {
        schema: target.schema.clone(),
        name: target.name.clone(),
        kind: TableKind::External(format),
        location,
        options,
        columns,
        or_replace: table.or_replace,
    };
    target::now_or_at_commit(session, target.to_string(), "CREATE EXTERNAL TABLE", move |session| {
        Box::pin(async move {
            let engine = &session.engine;
            if let Some(replaced) = engine.catalog.put_table(new).await?.replaced {
                discard_after_readers(engine, replaced);
            }
            Ok(())
        })
    })
    .await
}

fn format(name: &str) -> Result<Format> {
    match name.to_uppercase().as_str() {
        "DELTA" | "DELTATABLE" => Ok(Format::Delta),
        "PARQUET" => Ok(Format::Parquet),
        "CSV" => Ok(Format::Csv),
        "JSON" | "NDJSON" | "JSONL" => Ok(Format::Json),
        "ARROW" | "IPC" => Ok(Format::Arrow),
        _ => Err(Error::unsupported(format!("the external format {name}"))
            .with_hint("The formats are DELTA, PARQUET, CSV, JSON and ARROW.")),
    }
}

fn check_plain(table: &CreateExternalTable) -> Result<()> {
    let refused = [
        (table.temporary, "CREATE TEMPORARY EXTERNAL TABLE"),
        (table.unbounded, "an unbounded external table"),
        (!table.order_exprs.is_empty(), "WITH ORDER"),
        (!table.constraints.is_empty(), "a constraint on an external table"),
    ];
    match refused.iter().find(|(given, _)| *given) {
        Some((_, what)) => Err(Error::unsupported(what)),
        None => Ok(()),
    }
}

fn columns(state: &SessionState, columns: &[ColumnDef]) -> Result<Option<SchemaRef>> {
    if columns.is_empty() {
        return Ok(None);
    }
    let fields = columns.iter().map(|column| field(state, column)).collect::<Result<Vec<_>>>()?;
    Ok(Some(Arc::new(Schema::new(fields))))
}

/// `'a INT, b TEXT'`.
pub(crate) fn columns_of(state: &SessionState, text: &str) -> Result<SchemaRef> {
    let columns = columns(state, &crate::parser::column_definitions(text)?)?;
    columns.ok_or_else(|| Error::new(Kind::SyntaxError, "a list of columns is empty"))
}

fn field(state: &SessionState, column: &ColumnDef) -> Result<Field> {
    let mut nullable = true;
    for option in &column.options {
        match option.option {
            ColumnOption::Null => {}
            ColumnOption::NotNull => nullable = false,
            ref other => return Err(Error::unsupported(format!("{other} on an external table's column"))),
        }
    }
    let data_type = data_type(state, column)?;
    Ok(Field::new(folded(&column.name), data_type, nullable))
}

fn options(table: &CreateExternalTable, format: Format) -> Result<BTreeMap<String, String>> {
    let text = |(key, value): &(String, Value)| {
        let text = match value {
            Value::Number(number, _) => Some(number.to_string()),
            Value::Boolean(on) => Some(on.to_string()),
            other => other.clone().into_string(),
        };
        let text =
            text.ok_or_else(|| Error::new(Kind::SyntaxError, format!("the option {key} needs a literal value")))?;
        Ok((key.to_lowercase(), text))
    };
    let mut options: BTreeMap<String, String> = table.options.iter().map(text).collect::<Result<_>>()?;
    if table.table_partition_cols.is_empty() {
        return Ok(options);
    }
    if format == Format::Delta {
        return Err(Error::new(Kind::InvalidTableDefinition, "a delta table takes no PARTITIONED BY: its log has one"));
    }
    let names =
        table.table_partition_cols.iter().map(|name| partition_column(table, name)).collect::<Result<Vec<_>>>()?;
    if options.insert(PARTITION_COLUMNS.to_owned(), names.join(",")).is_some() {
        let message = format!("PARTITIONED BY and the option {PARTITION_COLUMNS} say the same");
        return Err(Error::new(Kind::SyntaxError, message));
    }
    Ok(options)
}

/// A column as PARTITIONED BY has it: with its quotes, if there were any, but without them when it has a type, which
/// makes it one of the columns too.
fn partition_column(table: &CreateExternalTable, text: &str) -> Result<String> {
    if let Some(column) = table.columns.iter().find(|column| column.name.value == text) {
        return Ok(folded(&column.name));
    }
    let name = crate::parser::object_name(text)?;
    match target::parts(&name)?.as_slice() {
        [name] if !name.contains(',') => Ok(name.clone()),
        _ => Err(Error::unsupported(format!("the partition column {text}"))),
    }
}
