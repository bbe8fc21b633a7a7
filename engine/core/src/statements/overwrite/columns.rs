//! Which column of a query goes to which of the table.

use alluvia_lake::{Snapshot, storable};
use arrow::datatypes::{Field, FieldRef, Schema};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Ident, Insert};

use super::super::target::folded;
use crate::error::{Error, Kind, Result};
use crate::parser::merging;

/// The table's columns, each with what goes into it.
pub(super) struct Assignment {
    /// The table's columns, then those that it gets.
    pub columns: Vec<FieldRef>,
    pub added: Vec<Field>,
    /// The query's column by its place, for each of `columns`; `None` is NULL, or computed.
    pub sources: Vec<Option<usize>>,
}

impl Assignment {
    /// `fixed`: columns with a value of their own, which the query doesn't give.
    pub fn of(insert: &Insert, snapshot: &Snapshot, query: &Schema, fixed: &[String]) -> Result<Assignment> {
        let schema = snapshot.schema();
        let columns: Vec<FieldRef> = schema.fields().iter().cloned().collect();
        let sources = vec![None; columns.len()];
        let mut assignment = Assignment { columns, added: vec![], sources };
        let evolves = merging::evolves_schema(&insert.optimizer_hints);
        if merging::is_by_name(insert) {
            if !insert.columns.is_empty() {
                return Err(Error::new(Kind::SyntaxError, "BY NAME and a list of columns exclude each other"));
            }
            for (place, field) in query.fields().iter().enumerate() {
                assignment.give(field.name(), place, field, evolves, fixed)?;
            }
            return Ok(assignment);
        }
        let named: Vec<String> = if insert.columns.is_empty() {
            let own = assignment.columns.iter().map(|field| field.name().clone());
            own.filter(|name| !fixed.contains(name)).collect()
        } else {
            insert.columns.iter().filter_map(|name| Some(folded(name.0.last()?.as_ident()?))).collect()
        };
        if !insert.columns.is_empty() && named.len() > query.fields().len() {
            return Err(Error::new(Kind::SyntaxError, "INSERT has more target columns than expressions"));
        }
        for (place, field) in query.fields().iter().enumerate() {
            match named.get(place) {
                Some(name) => assignment.give(name, place, field, evolves, fixed)?,
                None if evolves => assignment.give(field.name(), place, field, true, fixed)?,
                None => {
                    let error = Error::new(Kind::SyntaxError, "INSERT has more expressions than target columns");
                    return Err(error.with_hint("WITH SCHEMA EVOLUTION adds columns under the query's names."));
                }
            }
        }
        Ok(assignment)
    }

    fn give(&mut self, name: &str, place: usize, field: &Field, evolves: bool, fixed: &[String]) -> Result<()> {
        let known = self.columns.iter().position(|column| column.name() == name);
        let index = match known {
            Some(index) => index,
            None if evolves => {
                let data_type = storable(field.data_type())?;
                let column = Field::new(name, data_type, true);
                self.added.push(column.clone());
                self.columns.push(column.into());
                self.sources.push(None);
                self.columns.len() - 1
            }
            None => {
                let message = format!("column \"{name}\" of the table does not exist");
                return Err(Error::new(Kind::UndefinedColumn, message)
                    .with_hint("WITH SCHEMA EVOLUTION adds columns that the table lacks."));
            }
        };
        let source = self.sources.get_mut(index).filter(|source| source.is_none());
        let source = source.filter(|_| !fixed.iter().any(|fixed| fixed == name));
        match source {
            Some(source) => *source = Some(place),
            None => {
                let message = format!("column \"{name}\" specified more than once");
                return Err(Error::new(Kind::DuplicateColumn, message));
            }
        }
        Ok(())
    }
}

/// `PARTITION (a = 1, b = 'x')`: columns and their values.
pub(super) fn fixed_values(insert: &Insert, snapshot: &Snapshot) -> Result<Vec<(String, SqlExpr)>> {
    let partitions = if insert.overwrite { insert.partitioned.as_deref().unwrap_or_default() } else { &[] };
    partitions.iter().map(|partition| fixed_value(partition, snapshot)).collect()
}

fn fixed_value(partition: &SqlExpr, snapshot: &Snapshot) -> Result<(String, SqlExpr)> {
    use datafusion::sql::sqlparser::ast::BinaryOperator::Eq;
    let fixed = match partition {
        SqlExpr::BinaryOp { left, op: Eq, right } => match left.as_ref() {
            SqlExpr::Identifier(column) => Some((column, right.as_ref().clone())),
            _ => None,
        },
        _ => None,
    };
    let Some((column, value)) = fixed else {
        return Err(Error::unsupported(format!("PARTITION ({partition}) without a value"))
            .with_hint("Give it a value, or replace rows by a condition: INSERT INTO ... REPLACE WHERE ...."));
    };
    let name = partition_column(column, snapshot)?;
    Ok((name, value))
}

fn partition_column(column: &Ident, snapshot: &Snapshot) -> Result<String> {
    let name = folded(column);
    if !snapshot.partition_columns().contains(&name) {
        let message = format!("the table is not partitioned by \"{name}\"");
        return Err(Error::new(Kind::UndefinedColumn, message)
            .with_hint("Rows can be replaced by any condition: INSERT INTO ... REPLACE WHERE ...."));
    }
    Ok(name)
}
