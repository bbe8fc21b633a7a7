//! What ALTER TABLE changes of a Delta table, in the lake's words, and what is refused.

use alluvia_lake::{Alteration, Check, Format};
use arrow::datatypes::Field;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTableOperation, ColumnDef, ColumnOption, Expr, TableConstraint,
};

use super::Operation;
use crate::catalog::TableEntry;
use crate::error::{Error, Kind, Result};
use crate::session::Session;
use crate::statements::create_table::{data_type, length_check, length_max, refused_option};
use crate::statements::rows;
use crate::statements::target::{Target, folded};

pub(super) async fn alterations(
    session: &Session,
    state: &SessionState,
    target: &Target,
    operations: &[Operation],
) -> Result<Vec<Alteration>> {
    if let Ok(entry) = target.entry(session) {
        check_alterable(&entry)?;
    }
    let snapshot = rows::newest(session, target).await?;
    let mut taken: Vec<String> = snapshot.checks().iter().map(|check| check.name.clone()).collect();
    let mut alterations = vec![];
    for operation in operations {
        match operation {
            Operation::RenameTo(_) | Operation::SetSchema(_) => {
                return Err(Error::unsupported("a new name or schema beside other changes in one ALTER TABLE")
                    .with_hint("Write two statements."));
            }
            Operation::SetProperties(pairs) => {
                alterations.push(Alteration::SetProperties(pairs.iter().cloned().collect()));
            }
            Operation::UnsetProperties { keys, if_exists } => {
                alterations.push(Alteration::UnsetProperties { keys: keys.clone(), if_exists: *if_exists });
            }
            Operation::ColumnComment { column, comment } => {
                let comment = comment.clone().filter(|text| !text.is_empty());
                alterations.push(Alteration::CommentColumn { column: folded(column), comment });
            }
            Operation::Table(operation) => {
                let made = of_table(state, target, operation, &mut taken)?;
                if made
                    .iter()
                    .any(|made| matches!(made, Alteration::RenameColumn { .. } | Alteration::DropColumn { .. }))
                {
                    refuse_used(session, target)?;
                }
                alterations.extend(made);
            }
        }
    }
    Ok(alterations)
}

fn check_alterable(entry: &TableEntry) -> Result<()> {
    if entry.kind.format() == Format::Delta && !matches!(entry.kind, crate::catalog::TableKind::External(_)) {
        return Ok(());
    }
    Err(Error::unsupported(format!("altering external table \"{}\"", entry.name))
        .with_hint("It can be renamed, and dropped and made anew."))
}

/// The columns of a view's tables are named in its text.
fn refuse_used(session: &Session, target: &Target) -> Result<()> {
    let Some(oid) = session.sources.oid(&target.schema, &target.name) else { return Ok(()) };
    let snapshot = session.engine.catalog.snapshot();
    let users = snapshot.views().filter(|view| view.uses.contains(oid)).map(|view| view.name.clone());
    let users: Vec<String> = users.chain(session.temporary.dependents(&[oid])).collect();
    let table = &target.name;
    if users.is_empty() {
        return Ok(());
    }
    let message = format!("cannot rename or drop columns of table {table} because views use it");
    Err(Error::new(Kind::DependentObjectsExist, message).with_detail(format!("The views are: {}.", users.join(", "))))
}

fn of_table(
    state: &SessionState,
    target: &Target,
    operation: &AlterTableOperation,
    taken: &mut Vec<String>,
) -> Result<Vec<Alteration>> {
    Ok(match operation {
        AlterTableOperation::AddColumn { column_def, if_not_exists, column_position: None, .. } => {
            add_column(state, target, column_def, *if_not_exists, taken)?
        }
        AlterTableOperation::AddConstraint { constraint: TableConstraint::Check(check), not_valid: false } => {
            let name = check.name.as_ref().map(folded);
            vec![add_check(name, &format!("{}_check", target.name), &check.expr, taken)?]
        }
        AlterTableOperation::AddConstraint { not_valid: true, .. } => {
            return Err(Error::unsupported("ADD CONSTRAINT ... NOT VALID"));
        }
        AlterTableOperation::AddConstraint { constraint, .. } => return Err(refused_option(&constraint.to_string())),
        AlterTableOperation::DropConstraint { if_exists, name, .. } => {
            vec![Alteration::DropCheck { name: folded(name), if_exists: *if_exists }]
        }
        AlterTableOperation::DropColumn { column_names, if_exists, .. } => column_names
            .iter()
            .map(|name| Alteration::DropColumn { name: folded(name), if_exists: *if_exists })
            .collect(),
        AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
            vec![Alteration::RenameColumn { from: folded(old_column_name), to: folded(new_column_name) }]
        }
        AlterTableOperation::AlterColumn { column_name, op } => vec![of_column(folded(column_name), op)?],
        other => return Err(Error::unsupported(format!("ALTER TABLE ... {other}"))),
    })
}

fn of_column(column: String, operation: &AlterColumnOperation) -> Result<Alteration> {
    match operation {
        AlterColumnOperation::SetNotNull => Ok(Alteration::SetNullable { column, nullable: false }),
        AlterColumnOperation::DropNotNull => Ok(Alteration::SetNullable { column, nullable: true }),
        AlterColumnOperation::SetDefault { .. } => Err(refused_option("DEFAULT")),
        AlterColumnOperation::DropDefault => Err(Error::new(Kind::InvalidTableDefinition, "no column has a default")),
        AlterColumnOperation::SetDataType { .. } => {
            Err(Error::unsupported("ALTER COLUMN ... TYPE (the feature typeWidening)")
                .with_hint("CREATE OR REPLACE TABLE ... AS SELECT with a cast makes the table anew."))
        }
        AlterColumnOperation::AddGenerated { .. } => Err(Error::unsupported("an identity column")),
    }
}

fn add_column(
    state: &SessionState,
    target: &Target,
    column: &ColumnDef,
    if_not_exists: bool,
    taken: &mut Vec<String>,
) -> Result<Vec<Alteration>> {
    let field = Field::new(folded(&column.name), data_type(state, column)?, true);
    let mut comment = None;
    let mut checks = vec![];
    if let Some(length_max) = length_max(&column.data_type) {
        let check = length_check(&target.name, field.name(), length_max);
        taken.push(check.name.clone());
        checks.push(Alteration::AddCheck(check));
    }
    for option in &column.options {
        match &option.option {
            ColumnOption::Null => {}
            ColumnOption::Comment(text) => comment = Some(text.clone()),
            ColumnOption::Check(check) => {
                let name = option.name.as_ref().or(check.name.as_ref()).map(folded);
                let otherwise = format!("{}_{}_check", target.name, field.name());
                checks.push(add_check(name, &otherwise, &check.expr, taken)?);
            }
            ColumnOption::NotNull => {
                return Err(Error::unsupported("ADD COLUMN ... NOT NULL")
                    .with_detail("The new column is NULL in every row there is.")
                    .with_hint("Add it without, fill it by UPDATE, then ALTER COLUMN ... SET NOT NULL."));
            }
            ColumnOption::Generated { .. } => {
                return Err(Error::unsupported("ADD COLUMN of a generated column")
                    .with_detail("The rows there are would have to be written anew.")
                    .with_hint("CREATE OR REPLACE TABLE with the column makes the table anew."));
            }
            other => return Err(refused_option(&other.to_string())),
        }
    }
    let mut alterations = vec![Alteration::AddColumn { field, comment, if_not_exists }];
    alterations.extend(checks);
    Ok(alterations)
}

/// Names that nobody chose are numbered when they meet, as PostgreSQL does.
fn add_check(name: Option<String>, otherwise: &str, expression: &Expr, taken: &mut Vec<String>) -> Result<Alteration> {
    let free = |candidate: &String| taken.iter().all(|known| !known.eq_ignore_ascii_case(candidate));
    let numbered = |number: usize| if number == 0 { otherwise.to_owned() } else { format!("{otherwise}{number}") };
    let name = name.or_else(|| (0..=taken.len()).map(numbered).find(free)).unwrap_or_else(|| otherwise.to_owned());
    taken.push(name.clone());
    let expression_sql = crate::parser::rewritten(expression)?;
    Ok(Alteration::AddCheck(Check { name, expression_sql }))
}
