//! `DESCRIBE`: a table's columns, its history, or how it stands as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvia_lake::{Detail, Format, LogEntry, Snapshot};
use alluvia_udfs::pg::pg_type_name;
use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::ObjectName;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Usage;
use super::target::{self, Target};
use super::upkeep::{comes, take};
use crate::catalog::TableEntry;
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "DESCRIBE",
    usage: "DESCRIBE {[TABLE] [EXTENDED] <table> | HISTORY <table> [LIMIT <n>] | DETAIL <table>}",
};

/// The statement as parsed.
#[derive(Clone, Debug)]
pub struct DescribeTable {
    table: ObjectName,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Columns { extended: bool },
    History { limit: Option<usize> },
    Detail,
}

impl DescribeTable {
    /// `None` when what comes is something else, such as `DESCRIBE SELECT`.
    pub fn parse(parser: &mut Parser<'_>) -> Result<Option<DescribeTable>, ParserError> {
        if !comes(parser, &["DESCRIBE"]) && !comes(parser, &["DESC"]) {
            return Ok(None);
        }
        let query = |token: &Token| match token {
            Token::LParen => true,
            Token::Word(word) => {
                let words = ["SELECT", "WITH", "VALUES"];
                word.quote_style.is_none() && words.iter().any(|query| word.value.eq_ignore_ascii_case(query))
            }
            _ => false,
        };
        if query(&parser.peek_nth_token_ref(1).token) {
            return Ok(None);
        }
        parser.advance_token();
        // A table may be called `history`; then no name follows.
        let named = |parser: &Parser<'_>| matches!(parser.peek_nth_token_ref(1).token, Token::Word(_));
        let what = match () {
            () if named(parser) && take(parser, &["HISTORY"]) => What::History { limit: None },
            () if named(parser) && take(parser, &["DETAIL"]) => What::Detail,
            () => {
                let _ = named(parser) && take(parser, &["TABLE"]);
                let extended = named(parser) && (take(parser, &["EXTENDED"]) || take(parser, &["FORMATTED"]));
                What::Columns { extended }
            }
        };
        let table = parser.parse_object_name(false)?;
        let what = match what {
            What::History { .. } if take(parser, &["LIMIT"]) => {
                let limit = parser.parse_literal_uint()?;
                What::History { limit: Some(usize::try_from(limit).unwrap_or(usize::MAX)) }
            }
            what => what,
        };
        Ok(Some(DescribeTable { table, what }))
    }

    pub(super) fn schema(&self) -> SchemaRef {
        match self.what {
            What::Columns { .. } => columns_schema(),
            What::History { .. } => history_schema(),
            What::Detail => detail_schema(),
        }
    }

    pub(super) async fn run(&self, session: &Session, state: &SessionState) -> Result<Execution> {
        let batch = match self.what {
            What::Columns { extended } => self.columns(session, state, extended).await?,
            What::History { limit } => {
                let entry = Target::existing(session, &self.table)?.entry(session)?;
                let snapshot = delta(session, &entry).await?;
                history(&session.engine.lake.history(&snapshot, limit).await?)?
            }
            What::Detail => {
                let entry = Target::existing(session, &self.table)?.entry(session)?;
                let snapshot = delta(session, &entry).await?;
                let newest = session.engine.lake.history(&snapshot, Some(1)).await?;
                detail(&snapshot, newest.first().and_then(|entry| entry.timestamp_ms))?
            }
        };
        Ok(Execution::batch(USAGE.statement, batch))
    }

    /// Columns of anything that can be queried; comments and details of Delta tables.
    async fn columns(&self, session: &Session, state: &SessionState, extended: bool) -> Result<RecordBatch> {
        let provider = provider(state, &self.table).await?;
        let entry = match Target::existing(session, &self.table) {
            Ok(target) => target.entry(session).ok(),
            // A system table.
            Err(_) => None,
        };
        let snapshot = match &entry {
            Some(entry) if entry.kind.format() == Format::Delta => delta(session, entry).await.ok(),
            _ => None,
        };
        let comments = snapshot.as_ref().map(Snapshot::column_comments).unwrap_or_default();
        let mut rows = Rows::default();
        for field in provider.schema().fields() {
            rows.add(field.name(), &pg_type_name(field.data_type()), comments.get(field.name()).map(String::as_str));
        }
        if extended {
            rows.add_partitions(snapshot.as_ref(), &provider.schema());
            rows.add_details(session, entry.as_ref(), snapshot.as_ref());
        }
        rows.batch()
    }
}

async fn provider(state: &SessionState, name: &ObjectName) -> Result<Arc<dyn TableProvider>> {
    let parts = target::parts(name)?;
    let reference = match parts.as_slice() {
        [name] => TableReference::bare(name.as_str()),
        [schema, name] => TableReference::partial(schema.as_str(), name.as_str()),
        [catalog, schema, name] => TableReference::full(catalog.as_str(), schema.as_str(), name.as_str()),
        _ => return Err(Error::new(Kind::SyntaxError, format!("improper relation name: {name}"))),
    };
    let undefined = || Error::new(Kind::UndefinedTable, format!("relation \"{}\" does not exist", parts.join(".")));
    let schema = state.schema_for_ref(reference.clone()).map_err(|_| undefined())?;
    schema.table(reference.table()).await?.ok_or_else(undefined)
}

async fn delta(session: &Session, entry: &TableEntry) -> Result<Snapshot> {
    if entry.kind.format() != Format::Delta {
        let message = format!("\"{}\" is not a delta table", entry.name);
        return Err(Error::new(Kind::FeatureNotSupported, message).with_hint("DESCRIBE <table> lists its columns."));
    }
    Ok(session.engine.lake.open(&entry.location).await?)
}

/// Rows of three texts.
#[derive(Default)]
struct Rows {
    rows: Vec<(String, String, Option<String>)>,
}

impl Rows {
    fn add(&mut self, name: &str, data_type: &str, comment: Option<&str>) {
        self.rows.push((name.to_owned(), data_type.to_owned(), comment.map(str::to_owned)));
    }

    fn add_partitions(&mut self, snapshot: Option<&Snapshot>, schema: &SchemaRef) {
        let columns = snapshot.map(Snapshot::partition_columns).unwrap_or_default();
        if columns.is_empty() {
            return;
        }
        self.add("", "", None);
        self.add("# Partition Information", "", None);
        for column in columns {
            let data_type = schema.field_with_name(column).map(|field| pg_type_name(field.data_type()));
            self.add(column, &data_type.unwrap_or_default(), None);
        }
    }

    fn add_details(&mut self, session: &Session, entry: Option<&TableEntry>, snapshot: Option<&Snapshot>) {
        let Some(entry) = entry else { return };
        self.add("", "", None);
        self.add("# Detailed Table Information", "", None);
        self.add("Catalog", session.database(), None);
        self.add("Database", &entry.schema, None);
        self.add("Table", &entry.name, None);
        self.add("Type", &entry.kind.name().to_uppercase(), None);
        self.add("Provider", crate::catalog::format_name(entry.kind.format()), None);
        self.add("Location", entry.location.as_str(), None);
        let Some(snapshot) = snapshot else { return };
        if let Some(comment) = snapshot.comment() {
            self.add("Comment", comment, None);
        }
        self.add("Table Properties", &json(snapshot.properties()), None);
        for check in snapshot.checks() {
            self.add(&format!("Constraint {}", check.name), &format!("CHECK ({})", check.expression_sql), None);
        }
        for generated in snapshot.generated() {
            self.add(&format!("Generated {}", generated.column), &generated.expression_sql, None);
        }
        for field in snapshot.schema().fields().iter().filter(|field| !field.is_nullable()) {
            self.add(&format!("Constraint on {}", field.name()), "NOT NULL", None);
        }
    }

    fn batch(self) -> Result<RecordBatch> {
        let names: StringArray = self.rows.iter().map(|row| Some(row.0.as_str())).collect();
        let types: StringArray = self.rows.iter().map(|row| Some(row.1.as_str())).collect();
        let comments: StringArray = self.rows.iter().map(|row| row.2.as_deref()).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(names), Arc::new(types), Arc::new(comments)];
        Ok(RecordBatch::try_new(columns_schema(), columns)?)
    }
}

fn json(values: &BTreeMap<String, String>) -> String {
    serde_json::to_string(values).unwrap_or_default()
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
}

fn texts(name: &str) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))), true)
}

fn columns_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![text("col_name"), text("data_type"), text("comment")]))
}

fn history_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        number("version"),
        time("timestamp"),
        text("user_id"),
        text("user_name"),
        text("operation"),
        text("operation_parameters"),
        number("read_version"),
        text("isolation_level"),
        Field::new("is_blind_append", DataType::Boolean, true),
        text("operation_metrics"),
        text("user_metadata"),
        text("engine_info"),
    ]))
}

fn history(entries: &[LogEntry]) -> Result<RecordBatch> {
    let text = |part: fn(&LogEntry) -> &Option<String>| -> ArrayRef {
        Arc::new(entries.iter().map(|entry| part(entry).as_deref()).collect::<StringArray>())
    };
    let versions = entries.iter().map(|entry| i64::try_from(entry.version).ok());
    let columns = vec![
        Arc::new(versions.collect::<Int64Array>()) as ArrayRef,
        times(entries.iter().map(|entry| entry.timestamp_ms)),
        text(|entry| &entry.user_id),
        text(|entry| &entry.user_name),
        text(|entry| &entry.operation),
        text(|entry| &entry.operation_parameters),
        Arc::new(entries.iter().map(|entry| entry.read_version).collect::<Int64Array>()),
        text(|entry| &entry.isolation_level),
        Arc::new(entries.iter().map(|entry| entry.is_blind_append).collect::<BooleanArray>()),
        text(|entry| &entry.operation_metrics),
        text(|entry| &entry.user_metadata),
        text(|entry| &entry.engine_info),
    ];
    Ok(RecordBatch::try_new(history_schema(), columns)?)
}

fn times(milliseconds: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let microseconds = milliseconds.map(|time| time.and_then(|time| time.checked_mul(1000)));
    Arc::new(microseconds.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn detail_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("format"),
        text("id"),
        text("name"),
        text("description"),
        text("location"),
        time("created_at"),
        time("last_modified"),
        texts("partition_columns"),
        number("num_files"),
        number("size_in_bytes"),
        text("properties"),
        Field::new("min_reader_version", DataType::Int32, true),
        Field::new("min_writer_version", DataType::Int32, true),
        texts("table_features"),
        number("version"),
    ]))
}

fn detail(snapshot: &Snapshot, modified_ms: Option<i64>) -> Result<RecordBatch> {
    let detail: Detail = snapshot.detail();
    let text = |value: Option<&str>| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let number = |value: u64| Arc::new(Int64Array::from(vec![i64::try_from(value).unwrap_or(i64::MAX)])) as ArrayRef;
    let texts = |values: &[String]| {
        let mut list = ListBuilder::new(StringBuilder::new());
        list.append_value(values.iter().map(Some));
        Arc::new(list.finish()) as ArrayRef
    };
    let columns = vec![
        text(Some("delta")),
        text(Some(&detail.id)),
        text(detail.name.as_deref()),
        text(detail.description.as_deref()),
        text(Some(snapshot.location().as_str())),
        times([detail.created_at_ms].into_iter()),
        times([modified_ms].into_iter()),
        texts(snapshot.partition_columns()),
        number(detail.files),
        number(detail.bytes),
        text(Some(&json(snapshot.properties()))),
        Arc::new(Int32Array::from(vec![detail.min_reader_version])),
        Arc::new(Int32Array::from(vec![detail.min_writer_version])),
        texts(&detail.table_features),
        number(snapshot.version()),
    ];
    Ok(RecordBatch::try_new(detail_schema(), columns)?)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

    use super::*;

    #[test]
    fn what_is_described_and_what_is_not() {
        let parse = |sql: &str| {
            let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap();
            DescribeTable::parse(&mut parser).unwrap().map(|parsed| (parsed.table.to_string(), parsed.what))
        };
        let columns = |table: &str, extended| Some((table.to_owned(), What::Columns { extended }));
        assert_eq!(parse("DESCRIBE t"), columns("t", false));
        assert_eq!(parse("desc table extended s.t"), columns("s.t", true));
        assert_eq!(parse("DESCRIBE history"), columns("history", false));
        assert_eq!(parse("DESCRIBE HISTORY t LIMIT 3"), Some(("t".into(), What::History { limit: Some(3) })));
        assert_eq!(parse("DESCRIBE DETAIL t"), Some(("t".into(), What::Detail)));
        assert_eq!(parse("DESCRIBE SELECT 1"), None);
        assert_eq!(parse("SELECT 1"), None);
    }
}
