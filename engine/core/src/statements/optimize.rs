//! `OPTIMIZE`: fewer and larger files with the same rows, in an order if one is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvia_lake::{Error as LakeError, Optimize as Rewrite, Optimized, RowScan, Snapshot};
use arrow::array::AsArray;
use arrow::datatypes::SchemaRef;
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::physical_plan::collect;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, ExprWithAlias, Ident, ObjectName};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::target::{self, Target, folded};
use super::upkeep::{check_tended, counts_row, counts_schema, take};
use super::{Usage, query};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::planning::apart;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "OPTIMIZE",
    usage: "OPTIMIZE <table> [WHERE <condition on partition columns>] [ZORDER BY (<column>, ...)]",
};

/// How often it runs again after a conflict with another writer.
const TRIES_MAX: usize = 5;
const FILE: &str = "__alluvia_file";

/// The statement as parsed.
#[derive(Clone, Debug)]
pub struct Optimize {
    table: ObjectName,
    predicate: Option<SqlExpr>,
    order_by: Vec<Ident>,
}

impl Optimize {
    /// Parses what follows `OPTIMIZE`.
    pub fn parse(parser: &mut Parser<'_>) -> Result<Optimize, ParserError> {
        take(parser, &["TABLE"]);
        let table = parser.parse_object_name(false)?;
        let predicate = if take(parser, &["WHERE"]) { Some(parser.parse_expr()?) } else { None };
        let mut order_by = vec![];
        if take(parser, &["ZORDER", "BY"]) {
            let parenthesized = parser.consume_token(&Token::LParen);
            order_by = parser.parse_comma_separated(|parser| parser.parse_identifier())?;
            if parenthesized {
                parser.expect_token(&Token::RParen)?;
            }
        }
        Ok(Optimize { table, predicate, order_by })
    }

    pub(super) async fn run(&self, session: &Session, state: &SessionState) -> Result<Execution> {
        target::check_outside_block(session, USAGE.statement)?;
        let target = Target::existing(session, &self.table)?;
        let entry = target.entry(session)?;
        check_tended(&entry, USAGE.statement)?;
        let lake = &session.engine.lake;
        for attempt in 1.. {
            let snapshot = lake.open(&entry.location).await?;
            let rewrite = Rewrite {
                files: self.files(state, &target, &snapshot).await?,
                predicate: self.predicate.as_ref().map(ToString::to_string),
                order_by: self.columns(&snapshot)?,
                small_files_min: 0,
                auto: false,
            };
            match lake.optimize(&snapshot, rewrite, state).await {
                Err(LakeError::Conflict { .. }) if attempt < TRIES_MAX => {}
                outcome => return Ok(Execution::batch(USAGE.statement, counts_row(schema(), &counts(&outcome?))?)),
            }
        }
        Err(Error::internal("OPTIMIZE ended without an outcome"))
    }

    fn columns(&self, snapshot: &Snapshot) -> Result<Vec<String>> {
        let mut columns: Vec<String> = vec![];
        for ident in &self.order_by {
            let name = folded(ident);
            if snapshot.schema().field_with_name(&name).is_err() {
                return Err(Error::new(Kind::UndefinedColumn, format!("column \"{name}\" does not exist")));
            }
            if snapshot.partition_columns().contains(&name) {
                let message = format!("rows cannot be ordered by \"{name}\", by which the table is partitioned");
                return Err(Error::new(Kind::InvalidColumnReference, message));
            }
            if columns.contains(&name) {
                return Err(Error::new(Kind::DuplicateColumn, format!("column \"{name}\" specified more than once")));
            }
            columns.push(name);
        }
        Ok(columns)
    }

    /// The files that the condition chooses: it speaks of partitions, so it is true of all rows of a file or of none.
    async fn files(
        &self,
        state: &SessionState,
        target: &Target,
        snapshot: &Snapshot,
    ) -> Result<Option<BTreeSet<String>>> {
        let Some(predicate) = &self.predicate else { return Ok(None) };
        let scan = RowScan { file_column: Some(FILE.to_owned()), ..RowScan::default() };
        let source = provider_as_source(snapshot.rows(state, scan)?);
        let rows = LogicalPlanBuilder::scan(target.name.as_str(), source, None)?;
        let predicate = ExprWithAlias { expr: predicate.clone(), alias: None };
        let condition = state.create_logical_expr_from_sql_expr(predicate, rows.schema())?;
        if let Some(column) = foreign_column(&condition, snapshot.partition_columns()) {
            return Err(Error::unsupported(format!("OPTIMIZE ... WHERE on column \"{column}\"")).with_detail(
                "The condition chooses whole partitions, and the table is not partitioned by that column.",
            ));
        }
        let file = || Expr::Column(Column::from_name(FILE));
        let plan = query::with_parameters(rows.filter(condition)?.project([file()])?.distinct()?.build()?, vec![])?;
        let planner = state.clone();
        let plan = apart(async move { Ok(planner.create_physical_plan(&plan).await?) }).await?;
        let mut files = BTreeSet::new();
        for batch in collect(plan, state.task_ctx()).await? {
            let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8)?;
            files.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
        }
        Ok(Some(files))
    }
}

fn foreign_column(condition: &Expr, partition_columns: &[String]) -> Option<String> {
    let columns = condition.column_refs();
    columns.into_iter().find(|column| !partition_columns.contains(&column.name)).map(|column| column.name.clone())
}

/// What the client is told.
pub(super) fn schema() -> SchemaRef {
    Arc::clone(&counts_schema(&[
        "num_files_added",
        "num_files_removed",
        "bytes_added",
        "bytes_removed",
        "partitions_optimized",
        "total_considered_files",
    ]))
}

fn counts(outcome: &Optimized) -> [u64; 6] {
    [
        outcome.added.len() as u64,
        outcome.removed.len() as u64,
        outcome.added.iter().sum(),
        outcome.removed.iter().sum(),
        outcome.partitions,
        outcome.files_considered,
    ]
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

    use super::*;

    #[test]
    fn the_whole_grammar() {
        let parse = |sql: &str| {
            let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap();
            let parsed = Optimize::parse(&mut parser).ok()?;
            let order: Vec<String> = parsed.order_by.iter().map(ToString::to_string).collect();
            Some((parsed.table.to_string(), parsed.predicate.map(|predicate| predicate.to_string()), order.join(",")))
        };
        let expected = |table: &str, predicate: Option<&str>, order: &str| {
            Some((table.to_owned(), predicate.map(str::to_owned), order.to_owned()))
        };
        assert_eq!(parse("t"), expected("t", None, ""));
        assert_eq!(parse("s.t WHERE p >= 'a' AND q = 1"), expected("s.t", Some("p >= 'a' AND q = 1"), ""));
        assert_eq!(parse("t WHERE p = 1 ZORDER BY (a, \"B\")"), expected("t", Some("p = 1"), "a,\"B\""));
        assert_eq!(parse("t zorder by a, b"), expected("t", None, "a,b"));
        assert_eq!(parse("t ZORDER BY (a"), None);
        assert_eq!(parse(""), None);
    }
}
