//! `CONVERT TO DELTA`: Parquet files become a Delta table where they lie.

use alluvia_lake::Format;
use arrow::datatypes::Field;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{ColumnDef, ObjectName};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use url::Url;

use super::Usage;
use super::create_table::data_type;
use super::target::{self, Target, folded};
use super::upkeep::take;
use crate::catalog::{NewTable, TableKind};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "CONVERT TO DELTA",
    usage: "CONVERT TO DELTA {<external table> | '<path>' | parquet.`<path>`} [PARTITIONED BY (<column> <type>, ...)] \
            [AS <table>]",
};

/// The statement as parsed.
#[derive(Clone, Debug)]
pub struct ConvertToDelta {
    source: Source,
    partition_columns: Vec<ColumnDef>,
    table: Option<ObjectName>,
}

#[derive(Clone, Debug)]
enum Source {
    Path(String),
    Table(ObjectName),
}

impl ConvertToDelta {
    /// Parses what follows `CONVERT TO DELTA`.
    pub fn parse(parser: &mut Parser<'_>) -> Result<ConvertToDelta, ParserError> {
        let source = parse_source(parser)?;
        let mut partition_columns = vec![];
        if take(parser, &["PARTITIONED", "BY"]) {
            parser.expect_token(&Token::LParen)?;
            partition_columns = parser.parse_comma_separated(|parser| parser.parse_column_def())?;
            parser.expect_token(&Token::RParen)?;
        }
        let table = if take(parser, &["AS"]) { Some(parser.parse_object_name(false)?) } else { None };
        Ok(ConvertToDelta { source, partition_columns, table })
    }

    pub(super) async fn run(&self, session: &Session, state: &SessionState) -> Result<Execution> {
        target::check_outside_block(session, USAGE.statement)?;
        let partition_columns = self.partition_columns.iter().map(|column| field(state, column));
        let partition_columns = partition_columns.collect::<Result<Vec<_>>>()?;
        let (location, replaced) = self.location(session)?;
        let named = match &self.table {
            Some(name) => {
                let target = Target::of(session, name)?;
                if target.exists(session) && replaced.as_ref() != Some(&target) {
                    return Err(target.duplicate());
                }
                Some(target)
            }
            None => replaced.clone(),
        };
        let engine = &session.engine;
        engine.lake.convert(&location, partition_columns).await?;
        if let Some(target) = named {
            let new = NewTable {
                or_replace: replaced.as_ref() == Some(&target),
                schema: target.schema,
                name: target.name,
                kind: TableKind::Located,
                location,
                options: Default::default(),
                columns: None,
            };
            engine.catalog.put_table(new).await?;
        }
        Ok(Execution::done(USAGE.statement))
    }

    /// Where the files lie, and the external table over them if that was named.
    fn location(&self, session: &Session) -> Result<(Url, Option<Target>)> {
        let name = match &self.source {
            Source::Path(path) => return Ok((target::location(path)?, None)),
            Source::Table(name) => name,
        };
        let target = Target::existing(session, name)?;
        let entry = target.entry(session)?;
        match entry.kind {
            TableKind::External(Format::Parquet) => {}
            kind if kind.format() == Format::Delta => {
                let message = format!("table \"{}\" is a delta table already", target.name);
                return Err(Error::new(Kind::DuplicateTable, message));
            }
            kind => {
                let format = crate::catalog::format_name(kind.format());
                return Err(Error::unsupported(format!("CONVERT TO DELTA of {format} files"))
                    .with_hint("CREATE TABLE ... AS SELECT copies the rows."));
            }
        }
        if !entry.location.path().ends_with('/') && entry.location.to_file_path().is_ok_and(|path| !path.is_dir()) {
            return Err(Error::unsupported("CONVERT TO DELTA of a single file")
                .with_detail("A Delta table is a folder, and its log lies beside its files."));
        }
        Ok((entry.location, Some(target)))
    }
}

/// A path in quotes; `parquet.` and a path in quotes; or a table's name.
fn parse_source(parser: &mut Parser<'_>) -> Result<Source, ParserError> {
    if let Token::SingleQuotedString(path) = &parser.peek_token_ref().token {
        let path = path.clone();
        parser.advance_token();
        return Ok(Source::Path(path));
    }
    let name = parser.parse_object_name(false)?;
    if let [format, path] = name.0.as_slice()
        && let (Some(format), Some(path)) = (format.as_ident(), path.as_ident())
        && format.value.eq_ignore_ascii_case("parquet")
        && path.quote_style.is_some()
        && path.value.contains('/')
    {
        return Ok(Source::Path(path.value.clone()));
    }
    Ok(Source::Table(name))
}

fn field(state: &SessionState, column: &ColumnDef) -> Result<Field> {
    if let Some(option) = column.options.first() {
        return Err(Error::unsupported(format!("{} on a partition column", option.option)));
    }
    Ok(Field::new(folded(&column.name), data_type(state, column)?, true))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

    use super::*;

    #[test]
    fn the_whole_grammar() {
        let parse = |sql: &str| {
            let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap();
            let parsed = ConvertToDelta::parse(&mut parser).ok()?;
            let source = match parsed.source {
                Source::Path(path) => format!("path {path}"),
                Source::Table(name) => format!("table {name}"),
            };
            let columns: Vec<String> = parsed.partition_columns.iter().map(ToString::to_string).collect();
            Some((source, columns.join(", "), parsed.table.map(|table| table.to_string())))
        };
        let expected = |source: &str, columns: &str, table: Option<&str>| {
            Some((source.to_owned(), columns.to_owned(), table.map(str::to_owned)))
        };
        assert_eq!(parse("'/a/b'"), expected("path /a/b", "", None));
        assert_eq!(parse("parquet.\"/a/b\" AS s.t"), expected("path /a/b", "", Some("s.t")));
        assert_eq!(parse("s.t PARTITIONED BY (p INT, q DATE)"), expected("table s.t", "p INT, q DATE", None));
        assert_eq!(parse(""), None);
    }
}
