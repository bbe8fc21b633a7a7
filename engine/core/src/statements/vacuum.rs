//! `VACUUM`: files that no version within retention names are deleted, or named.

use std::sync::Arc;
use std::time::Duration;

use alluvia_lake::{Snapshot, Vacuum as Removal};
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::ObjectName;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::Usage;
use super::target::{self, Target};
use super::upkeep::{check_tended, comes, counts_row, counts_schema, parse_number, take};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage =
    Usage { statement: "VACUUM", usage: "VACUUM <table> [FULL | LITE] [RETAIN <n> {HOURS | DAYS}] [DRY RUN]" };

/// Whether a retention shorter than the table's own is refused.
pub(super) const CHECK_SETTING: &str = "vacuum_retention_check";
/// PostgreSQL's options, which stand before the name and mean something else.
const POSTGRES_OPTIONS: [&str; 4] = ["FULL", "FREEZE", "VERBOSE", "ANALYZE"];
const HOUR_SECONDS: f64 = 3600.0;
const YEARS_MAX_SECONDS: f64 = 1e11;

/// The statement as parsed.
#[derive(Clone, Debug)]
pub struct Vacuum {
    table: ObjectName,
    retention: Option<Duration>,
    full: bool,
    dry_run: bool,
}

impl Vacuum {
    /// Parses what follows `VACUUM`.
    pub fn parse(parser: &mut Parser<'_>) -> Result<Vacuum, ParserError> {
        for option in POSTGRES_OPTIONS {
            if comes(parser, &[option]) && comes_word(parser) {
                let message =
                    format!("Expected: a table's name after VACUUM, found: {option}; options follow the name");
                return Err(ParserError::ParserError(message));
            }
        }
        let mut vacuum =
            Vacuum { table: parser.parse_object_name(false)?, retention: None, full: true, dry_run: false };
        if take(parser, &["LITE"]) {
            vacuum.full = false;
        } else {
            take(parser, &["FULL"]);
        }
        if take(parser, &["RETAIN"]) {
            let number = parse_number(parser, "a number of hours or days")?;
            let unit = match () {
                () if take(parser, &["HOURS"]) || take(parser, &["HOUR"]) => HOUR_SECONDS,
                () if take(parser, &["DAYS"]) || take(parser, &["DAY"]) => 24.0 * HOUR_SECONDS,
                () => return parser.expected_ref("HOURS or DAYS", parser.peek_token_ref()),
            };
            vacuum.retention = Some(Duration::from_secs_f64((number * unit).min(YEARS_MAX_SECONDS)));
        }
        vacuum.dry_run = take(parser, &["DRY", "RUN"]);
        Ok(vacuum)
    }

    pub(super) fn schema(&self) -> SchemaRef {
        match self.dry_run {
            true => Arc::new(Schema::new(vec![Field::new("path", DataType::Utf8, false)])),
            false => counts_schema(&["files_deleted", "bytes_deleted"]),
        }
    }

    pub(super) async fn run(&self, session: &Session, state: &SessionState) -> Result<Execution> {
        target::check_outside_block(session, USAGE.statement)?;
        let entry = Target::existing(session, &self.table)?.entry(session)?;
        check_tended(&entry, USAGE.statement)?;
        let lake = &session.engine.lake;
        let snapshot = lake.open(&entry.location).await?;
        let removal = Removal {
            retention: self.retention(session, &snapshot)?,
            full: self.full,
            dry_run: self.dry_run,
            oldest_statement: session.engine.readers.oldest(),
        };
        let vacuumed = lake.vacuum(&snapshot, removal, state).await?;
        let batch = if self.dry_run {
            let root = snapshot.location().to_file_path().map(|path| path.display().to_string());
            let root = root.unwrap_or_else(|()| snapshot.location().to_string());
            let paths = vacuumed.files.iter().map(|file| Some(format!("{}/{file}", root.trim_end_matches('/'))));
            RecordBatch::try_new(self.schema(), vec![Arc::new(paths.collect::<StringArray>())])?
        } else {
            counts_row(self.schema(), &[vacuumed.files.len() as u64, vacuumed.bytes])?
        };
        Ok(Execution::batch(USAGE.statement, batch))
    }

    fn retention(&self, session: &Session, snapshot: &Snapshot) -> Result<Duration> {
        let least = snapshot.deleted_file_retention();
        let Some(retention) = self.retention else { return Ok(least) };
        if retention < least && session.setting(CHECK_SETTING).as_deref() != Some("off") {
            let hours = |duration: Duration| duration.as_secs_f64() / HOUR_SECONDS;
            let message =
                format!("a retention of {} hours is shorter than the table's {} hours", hours(retention), hours(least));
            return Err(Error::new(Kind::InvalidParameterValue, message)
                .with_detail("Readers and writers elsewhere may still need files as young as that.")
                .with_hint(format!(
                    "Lower the table's delta.deletedFileRetentionDuration, or SET {CHECK_SETTING} = off."
                )));
        }
        Ok(retention)
    }
}

fn comes_word(parser: &Parser<'_>) -> bool {
    use datafusion::sql::sqlparser::tokenizer::Token;
    let next = &parser.peek_nth_token_ref(1).token;
    let own = [&["RETAIN"][..], &["DRY"], &["FULL"], &["LITE"]];
    match next {
        Token::Word(word) => !own.iter().any(|words| words.iter().any(|own| word.value.eq_ignore_ascii_case(own))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

    use super::*;

    #[test]
    fn the_whole_grammar() {
        let parse = |sql: &str| {
            let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap();
            let parsed = Vacuum::parse(&mut parser).ok()?;
            let hours = parsed.retention.map(|retention| retention.as_secs() / 3600);
            Some((parsed.table.to_string(), hours, parsed.full, parsed.dry_run))
        };
        assert_eq!(parse("s.t"), Some(("s.t".into(), None, true, false)));
        assert_eq!(parse("t LITE RETAIN 48 HOURS DRY RUN"), Some(("t".into(), Some(48), false, true)));
        assert_eq!(parse("t full retain 1.5 days"), Some(("t".into(), Some(36), true, false)));
        for sql in ["", "FULL t", "ANALYZE t", "t RETAIN HOURS", "t RETAIN 5", "t RETAIN -1 HOURS", "(FULL) t"] {
            assert_eq!(parse(sql), None, "{sql}");
        }
    }
}
