//! `CREATE TABLE`: types, partitions, location, NOT NULL, CHECK, generated columns, properties.

mod like;

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvia_lake::{Check, Generated, TableSpec};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::DFSchema;
use datafusion::execution::SessionState;
use datafusion::logical_expr::ExprSchemable;
use datafusion::sql::sqlparser::ast::{
    CastKind, CharacterLength, ColumnDef, ColumnOption, CommentDef, CreateTable, CreateTableOptions,
    DataType as SqlType, Expr, ExprWithAlias, HiveDistributionStyle, HiveIOFormat, OnCommit, TableConstraint, Value,
};

use super::Usage;
use super::new_table::Unnamed;
use super::target::{self, Target, folded};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "CREATE TABLE",
    usage: "CREATE [OR REPLACE] TABLE [IF NOT EXISTS] <name> (<column> <type> [NOT NULL] [CHECK (...)] \
            [GENERATED ALWAYS AS (...) STORED], ... [, CONSTRAINT <name> CHECK (...)]) [PARTITIONED BY (<column>, ...)] \
            [LOCATION '<path>'] [WITH (<property> = <value>, ...)]",
};

pub(super) async fn run(session: &Session, state: &SessionState, table: &CreateTable) -> Result<Execution> {
    check_plain(table)?;
    let target = made(session, table)?;
    if table.if_not_exists && target.exists(session) {
        return Ok(skipped(&target));
    }
    let storage = Storage::of(table)?;
    let unnamed = Unnamed::begin(session, target, storage.location.as_deref(), table.or_replace).await?;
    let made = make(session, state, table, storage, &unnamed).await;
    if let Err(error) = made {
        unnamed.abandon(session).await;
        return Err(error);
    }
    unnamed.finish(session, state).await?;
    Ok(Execution::done("CREATE TABLE"))
}

/// The name of a table that is to be made.
pub(super) fn made(session: &Session, table: &CreateTable) -> Result<Target> {
    if !table.temporary {
        if table.on_commit.is_some() {
            return Err(Error::new(Kind::InvalidTableDefinition, "ON COMMIT can only be used on temporary tables"));
        }
        let target = Target::of(session, &table.name)?;
        if !target.is_temporary() {
            return Ok(target);
        }
    }
    Target::temporary(&table.name)
}

async fn make(
    session: &Session,
    state: &SessionState,
    table: &CreateTable,
    storage: Storage,
    unnamed: &Unnamed,
) -> Result<()> {
    let lake = &session.engine.lake;
    if table.columns.is_empty() && table.like.is_none() && storage.location.is_some() {
        // No columns: the location holds a table already, and keeps it.
        lake.open(&unnamed.location).await?;
        return Ok(());
    }
    let spec = match &table.like {
        Some(like) => like::spec(session, like, table, storage).await?,
        None => spec(state, table, storage)?,
    };
    lake.validate(&spec, state)?;
    lake.create(&unnamed.location, &spec).await?;
    Ok(())
}

pub(super) fn skipped(target: &Target) -> Execution {
    Execution::done("CREATE TABLE")
        .with_notice("NOTICE", format!("relation \"{}\" already exists, skipping", target.name))
}

/// Where and how a table is stored, from whichever of the accepted spellings says it.
#[derive(Default)]
pub(super) struct Storage {
    pub location: Option<String>,
    pub partition_columns: Vec<String>,
    pub properties: BTreeMap<String, String>,
    pub comment: Option<String>,
}

impl Storage {
    pub fn of(table: &CreateTable) -> Result<Storage> {
        let mut storage = Storage { location: table.location.clone(), ..Storage::default() };
        if let Some(format) = &table.hive_formats {
            match &format.storage {
                Some(HiveIOFormat::Using { format }) if folded(format).eq_ignore_ascii_case("delta") => {}
                Some(HiveIOFormat::Using { format }) => {
                    return Err(Error::unsupported(format!("CREATE TABLE ... USING {format}"))
                        .with_hint("Tables are Delta tables; CREATE EXTERNAL TABLE reads files of other formats."));
                }
                Some(_) => return Err(Error::unsupported("a Hive storage format")),
                None => {}
            }
            if format.row_format.is_some() || format.serde_properties.is_some() {
                return Err(Error::unsupported("a Hive storage format"));
            }
            storage.location = storage.location.or_else(|| format.location.clone());
        }
        if let HiveDistributionStyle::PARTITIONED { columns } = &table.hive_distribution {
            storage.partition_columns = columns.iter().map(|column| folded(&column.name)).collect();
        }
        storage.comment = match &table.comment {
            Some(CommentDef::WithEq(comment) | CommentDef::WithoutEq(comment)) => Some(comment.clone()),
            None => None,
        };
        let given = match &table.table_options {
            CreateTableOptions::None => &[][..],
            CreateTableOptions::With(options)
            | CreateTableOptions::Options(options)
            | CreateTableOptions::Plain(options)
            | CreateTableOptions::TableProperties(options) => options,
        };
        for (key, value) in target::options(given)? {
            match key.to_lowercase().as_str() {
                "location" => storage.location = Some(value),
                "partitioned_by" => {
                    storage.partition_columns = value.split(',').map(|name| name.trim().to_string()).collect();
                }
                "format" if value.eq_ignore_ascii_case("delta") => {}
                _ => {
                    storage.properties.insert(key, value);
                }
            }
        }
        Ok(storage)
    }
}

/// What other systems allow in CREATE TABLE and this one doesn't: refused, never passed over.
pub(super) fn check_plain(table: &CreateTable) -> Result<()> {
    let refused = [
        (table.external, "this form of CREATE EXTERNAL TABLE"),
        (table.clone.is_some(), "CREATE TABLE CLONE"),
        (table.global == Some(true), "CREATE GLOBAL TEMPORARY TABLE"),
        (matches!(table.on_commit, Some(OnCommit::DeleteRows)), "ON COMMIT DELETE ROWS"),
        (matches!(table.on_commit, Some(OnCommit::Drop)), "ON COMMIT DROP"),
        (table.inherits.is_some(), "INHERITS"),
        (table.partition_by.is_some(), "PARTITION BY RANGE, LIST or HASH"),
        (table.cluster_by.is_some() || table.clustered_by.is_some(), "CLUSTER BY"),
    ];
    match refused.iter().find(|(given, _)| *given) {
        Some((_, "PARTITION BY RANGE, LIST or HASH")) => Err(Error::unsupported("PARTITION BY RANGE, LIST or HASH")
            .with_hint("PARTITIONED BY (column, ...) makes a folder for each value.")),
        Some((_, what)) => Err(Error::unsupported(what)),
        None => Ok(()),
    }
}

fn spec(state: &SessionState, table: &CreateTable, storage: Storage) -> Result<TableSpec> {
    if table.columns.is_empty() {
        return Err(Error::new(Kind::InvalidTableDefinition, "a table needs at least one column"));
    }
    let mut spec = TableSpec::new(Arc::new(Schema::empty()));
    let mut fields: Vec<Field> = vec![];
    for column in &table.columns {
        let field = Field::new(folded(&column.name), data_type(state, column)?, true);
        if fields.iter().any(|known| known.name() == field.name()) {
            return Err(Error::new(
                Kind::DuplicateColumn,
                format!("column \"{}\" specified more than once", field.name()),
            ));
        }
        if let Some(length_max) = length_max(&column.data_type) {
            spec.checks.push(length_check(&bare_name(table), field.name(), length_max));
        }
        fields.push(with_options(table, column, field, &mut spec)?);
    }
    for constraint in &table.constraints {
        add_constraint(table, constraint, &mut spec)?;
    }
    for name in &storage.partition_columns {
        if fields.iter().all(|field| field.name() != name) {
            return Err(Error::new(Kind::UndefinedColumn, format!("partition column \"{name}\" does not exist"))
                .with_hint("Declare it among the table's columns, and name it once more in PARTITIONED BY."));
        }
    }
    spec.schema = Arc::new(Schema::new(fields));
    spec.partition_columns = storage.partition_columns;
    spec.properties = storage.properties;
    spec.comment = storage.comment;
    Ok(spec)
}

/// The `n` of `varchar(n)` and `char(n)`.
pub(super) fn length_max(data_type: &SqlType) -> Option<u64> {
    match data_type {
        SqlType::Varchar(Some(length))
        | SqlType::CharacterVarying(Some(length))
        | SqlType::CharVarying(Some(length))
        | SqlType::Nvarchar(Some(length))
        | SqlType::Character(Some(length))
        | SqlType::Char(Some(length)) => match length {
            CharacterLength::IntegerLength { length, .. } => Some(*length),
            CharacterLength::Max => None,
        },
        SqlType::Char(None) | SqlType::Character(None) => Some(1),
        _ => None,
    }
}

/// Delta has text of any length; a check keeps the promise that the type makes.
pub(super) fn length_check(table: &str, column: &str, length_max: u64) -> Check {
    let quoted = format!("\"{}\"", column.replace('"', "\"\""));
    Check {
        name: format!("{table}_{column}_length"),
        expression_sql: format!("{quoted} IS NULL OR char_length({quoted}) <= {length_max}"),
    }
}

/// A column's type as the planner understands its spelling: the type of `CAST(NULL AS ...)`.
pub(super) fn data_type(state: &SessionState, column: &ColumnDef) -> Result<DataType> {
    let cast = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(Value::Null.into())),
        data_type: column.data_type.clone(),
        array: false,
        format: None,
    };
    let empty = DFSchema::empty();
    let cast = ExprWithAlias { expr: cast, alias: None };
    Ok(state.create_logical_expr_from_sql_expr(cast, &empty)?.get_type(&empty)?)
}

fn with_options(table: &CreateTable, column: &ColumnDef, field: Field, spec: &mut TableSpec) -> Result<Field> {
    let mut field = field;
    for option in &column.options {
        match &option.option {
            ColumnOption::Null => {}
            ColumnOption::NotNull => field = field.with_nullable(false),
            ColumnOption::Check(check) => {
                let name = option.name.as_ref().or(check.name.as_ref()).map(folded);
                let name = name.unwrap_or_else(|| format!("{}_{}_check", bare_name(table), field.name()));
                add_check(name, &check.expr, spec);
            }
            ColumnOption::Generated { generation_expr: Some(expression), .. } => {
                spec.generated.push(Generated { column: field.name().clone(), expression_sql: expression.to_string() });
            }
            ColumnOption::Comment(comment) => {
                spec.column_comments.insert(field.name().clone(), comment.clone());
            }
            other => return Err(refused_option(&other.to_string())),
        }
    }
    Ok(field)
}

fn add_constraint(table: &CreateTable, constraint: &TableConstraint, spec: &mut TableSpec) -> Result<()> {
    match constraint {
        TableConstraint::Check(check) => {
            let name = check.name.as_ref().map_or_else(|| format!("{}_check", bare_name(table)), folded);
            add_check(name, &check.expr, spec);
            Ok(())
        }
        other => Err(refused_option(&other.to_string())),
    }
}

/// Names that nobody chose are numbered when they meet, as PostgreSQL does.
fn add_check(name: String, expression: &Expr, spec: &mut TableSpec) {
    let taken = |candidate: &str| spec.checks.iter().any(|check| check.name == candidate);
    let name = (0..)
        .map(|number| if number == 0 { name.clone() } else { format!("{name}{number}") })
        .find(|candidate| !taken(candidate))
        .unwrap_or(name.clone());
    spec.checks.push(Check { name, expression_sql: expression.to_string() });
}

fn bare_name(table: &CreateTable) -> String {
    table.name.0.last().and_then(|part| part.as_ident()).map(folded).unwrap_or_default()
}

pub(super) fn refused_option(option: &str) -> Error {
    let error = Error::unsupported(format!("the column or table option {option}"));
    let upper = option.to_uppercase();
    if upper.contains("PRIMARY KEY") || upper.contains("UNIQUE") || upper.contains("REFERENCES") {
        return error
            .with_hint("A Delta table keeps no keys; leave the constraint out, and check uniqueness by a query.");
    }
    if upper.starts_with("DEFAULT") {
        return error.with_hint("Write the value in each INSERT, or use GENERATED ALWAYS AS (...) STORED.");
    }
    error
}
