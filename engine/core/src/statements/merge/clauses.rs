//! The clauses of a MERGE against the columns of its tables: what each of them does, column by column.

use std::collections::HashSet;

use alluvia_lake::Snapshot;
use arrow::datatypes::{Field, Schema};
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Ident, Merge, MergeAction, MergeClauseKind, MergeInsertExpr, MergeInsertKind,
    MergeUpdateExpr, ObjectName,
};

use super::super::target::folded;
use crate::error::{Error, Kind, Result};
use crate::parser::merging;

/// One WHEN.
pub(super) struct Clause {
    pub condition: Option<Expr>,
    pub action: Action,
}

pub(super) enum Action {
    Nothing,
    Delete,
    /// Values by column. Columns that aren't named keep theirs.
    Update(Vec<(String, Expr)>),
    /// The same, where those that aren't named are NULL.
    Insert(Vec<(String, Expr)>),
}

impl Action {
    pub fn values(&self) -> &[(String, Expr)] {
        match self {
            Action::Update(values) | Action::Insert(values) => values,
            Action::Nothing | Action::Delete => &[],
        }
    }
}

/// Clauses by what they are for, each kind in its order.
#[derive(Default)]
pub(super) struct Clauses {
    pub matched: Vec<Clause>,
    /// Source rows without a target row.
    pub missing: Vec<Clause>,
    /// Target rows without a source row.
    pub unmatched: Vec<Clause>,
}

impl Clauses {
    /// Whether any of them gives a column a value.
    pub fn assign(&self, column: &str) -> bool {
        let mut all = self.matched.iter().chain(&self.missing).chain(&self.unmatched);
        all.any(|clause| clause.action.values().iter().any(|(name, _)| name == column))
    }
}

/// What the clauses are read against.
pub(super) struct Columns<'a> {
    /// The target's, those included that the statement adds.
    pub target: &'a Schema,
    pub generated: HashSet<&'a str>,
    /// The source's, in its order.
    pub source: Vec<&'a str>,
    pub target_name: &'a Ident,
    pub source_name: &'a Ident,
    /// Whether `*` may leave columns of the target out.
    pub evolves: bool,
}

impl<'a> Columns<'a> {
    pub fn generated_of(snapshot: &Snapshot) -> HashSet<&str> {
        snapshot.generated().iter().map(|generated| generated.column.as_str()).collect()
    }

    pub fn read(&self, merge: &Merge) -> Result<Clauses> {
        let mut clauses = Clauses::default();
        for clause in &merge.clauses {
            let condition = clause.predicate.clone();
            let action = match &clause.action {
                MergeAction::Delete { .. } => Action::Delete,
                MergeAction::Update(update) if merging::does_nothing(update) => Action::Nothing,
                MergeAction::Update(update) => Action::Update(self.updated(update)?),
                MergeAction::Insert(insert) => Action::Insert(self.inserted(insert)?),
            };
            let kind = match clause.clause_kind {
                MergeClauseKind::Matched => &mut clauses.matched,
                MergeClauseKind::NotMatchedBySource => &mut clauses.unmatched,
                MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => &mut clauses.missing,
            };
            if kind.last().is_some_and(|last: &Clause| last.condition.is_none()) {
                return Err(Error::new(
                    Kind::SyntaxError,
                    "unreachable WHEN clause specified after unconditional WHEN clause",
                ));
            }
            kind.push(Clause { condition, action });
        }
        Ok(clauses)
    }

    fn updated(&self, update: &MergeUpdateExpr) -> Result<Vec<(String, Expr)>> {
        if merging::updates_all(update) {
            return self.all();
        }
        let mut values = vec![];
        for Assignment { target, value } in &update.assignments {
            match (target, value) {
                (AssignmentTarget::ColumnName(name), value) => self.assign(&mut values, name, value)?,
                (AssignmentTarget::Tuple(names), Expr::Tuple(row)) if names.len() == row.len() => {
                    for (name, value) in names.iter().zip(row) {
                        self.assign(&mut values, name, value)?;
                    }
                }
                (AssignmentTarget::Tuple(_), Expr::Tuple(_)) => {
                    return Err(Error::new(Kind::SyntaxError, "number of columns does not match number of values"));
                }
                (AssignmentTarget::Tuple(names), _) if names.len() > 1 => {
                    return Err(Error::unsupported("SET (...) = of anything but a row of values in MERGE")
                        .with_hint("Give each column a value of its own."));
                }
                (AssignmentTarget::Tuple(names), value) => {
                    for name in names {
                        self.assign(&mut values, name, value)?;
                    }
                }
            }
        }
        Ok(values)
    }

    fn assign(&self, values: &mut Vec<(String, Expr)>, name: &ObjectName, value: &Expr) -> Result<()> {
        let field = self.assigned(name)?;
        if values.iter().any(|(column, _)| column == field.name()) {
            let message = format!("multiple assignments to same column \"{}\"", field.name());
            return Err(Error::new(Kind::SyntaxError, message));
        }
        if self.generated.contains(field.name().as_str()) {
            if merging::is_default(value) {
                return Ok(());
            }
            let message = format!("column \"{}\" can only be updated to DEFAULT", field.name());
            return Err(Error::new(Kind::GeneratedAlways, message)
                .with_detail(format!("Column \"{}\" is a generated column.", field.name())));
        }
        values.push((field.name().clone(), value_of(value)));
        Ok(())
    }

    /// The column that an assignment names; the target's name may stand before it.
    fn assigned(&self, name: &ObjectName) -> Result<&Field> {
        let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        match parts.as_slice() {
            [column] => self.column(column),
            [target, column] if folded(target) == folded(self.target_name) => self.column(column),
            _ => Err(Error::unsupported(format!("assigning to {name}"))),
        }
    }

    fn column(&self, ident: &Ident) -> Result<&Field> {
        let name = folded(ident);
        self.target.field_with_name(&name).map_err(|_| {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", folded(self.target_name));
            Error::new(Kind::UndefinedColumn, message)
        })
    }

    fn inserted(&self, insert: &MergeInsertExpr) -> Result<Vec<(String, Expr)>> {
        let values = match &insert.kind {
            MergeInsertKind::Row => return self.all(),
            MergeInsertKind::Values(values) => {
                values.rows.first().map(|row| row.content.as_slice()).unwrap_or_default()
            }
        };
        let mut columns = vec![];
        for name in &insert.columns {
            let field = self.assigned(name)?;
            if columns.contains(field.name()) {
                let message = format!("column \"{}\" specified more than once", field.name());
                return Err(Error::new(Kind::DuplicateColumn, message));
            }
            columns.push(field.name().clone());
        }
        if !columns.is_empty() && columns.len() > values.len() {
            return Err(Error::new(Kind::SyntaxError, "INSERT has more target columns than expressions"));
        }
        if columns.is_empty() {
            columns = self.target.fields().iter().map(|field| field.name().clone()).collect();
        }
        if columns.len() < values.len() {
            return Err(Error::new(Kind::SyntaxError, "INSERT has more expressions than target columns"));
        }
        let mut inserted = vec![];
        for (column, value) in columns.into_iter().zip(values) {
            // Leaving a column out is what DEFAULT says.
            if !merging::is_default(value) {
                inserted.push((column, value.clone()));
            }
        }
        Ok(inserted)
    }

    /// `*`: each column from the source's of that name. Generated columns are computed.
    fn all(&self) -> Result<Vec<(String, Expr)>> {
        let mut values = vec![];
        for field in self.target.fields() {
            let name = field.name();
            if self.generated.contains(name.as_str()) {
                continue;
            }
            if self.source.contains(&name.as_str()) {
                let column = vec![self.source_name.clone(), Ident::with_quote('"', name)];
                values.push((name.clone(), Expr::CompoundIdentifier(column)));
            } else if !self.evolves {
                let message = format!("the source has no column \"{name}\", which * of MERGE would assign");
                return Err(Error::new(Kind::UndefinedColumn, message).with_hint(
                    "Name the columns, or use MERGE WITH SCHEMA EVOLUTION, where * is of the source's columns.",
                ));
            }
        }
        Ok(values)
    }
}

fn value_of(value: &Expr) -> Expr {
    if merging::is_default(value) { crate::planning::trees::null() } else { value.clone() }
}
