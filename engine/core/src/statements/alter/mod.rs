//! `ALTER TABLE`, `ALTER VIEW`, `ALTER SCHEMA`. All that one statement changes of a table is one commit.

mod parse;
mod table;

use alluvia_lake::{Alteration, Error as LakeError};
use datafusion::execution::SessionState;

use super::target::{self, Target};
use super::{Usage, comment, rows};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::planning::TemporaryRelation;
use crate::session::Session;
pub(crate) use parse::{Alter, Object, Operation};

pub(super) const USAGE: Usage = Usage {
    statement: "ALTER TABLE",
    usage: "ALTER TABLE [IF EXISTS] <name> {ADD [COLUMN] [IF NOT EXISTS] <column> <type> [COMMENT '<text>'] \
            | ADD [CONSTRAINT <name>] CHECK (...) | DROP CONSTRAINT [IF EXISTS] <name> \
            | ALTER [COLUMN] <column> {SET NOT NULL | DROP NOT NULL | COMMENT '<text>'} \
            | {RENAME COLUMN <column> TO <name> | DROP [COLUMN] <column>} of tables with column mapping \
            | SET [TBLPROPERTIES] (<property> = <value>, ...) | UNSET TBLPROPERTIES [IF EXISTS] (<property>, ...)} [, ...] \
            | ALTER {TABLE | VIEW} [IF EXISTS] <name> {RENAME TO <name> | SET SCHEMA <schema>} \
            | ALTER SCHEMA <name> RENAME TO <name>",
};

pub(super) async fn run(session: &Session, state: &SessionState, alter: &Alter) -> Result<Execution> {
    if alter.object == Object::Schema {
        return rename_schema(session, alter).await;
    }
    let tag = if alter.object == Object::View { "ALTER VIEW" } else { "ALTER TABLE" };
    let target = Target::existing(session, &alter.name)?;
    if !target.exists(session) && !target::made_in_block(session, &target) {
        return match alter.if_exists {
            true => Ok(Execution::done(tag)
                .with_notice("NOTICE", format!("relation \"{}\" does not exist, skipping", target.name))),
            false => Err(target.undefined()),
        };
    }
    if alter.object == Object::View && target.view(session).is_none() {
        return Err(Error::new(Kind::WrongObjectType, format!("\"{}\" is not a view", target.name)));
    }
    match alter.operations.as_slice() {
        [Operation::RenameTo(name)] => {
            let name = target::folded(&comment::single(name)?);
            let to = Target { schema: target.schema.clone(), name };
            rename(session, target, to, tag).await
        }
        [Operation::SetSchema(schema)] => {
            let to = Target { schema: target::folded(schema), name: target.name.clone() };
            if target.is_temporary() || to.is_temporary() {
                return Err(Error::unsupported("moving relations into or out of temporary schemas"));
            }
            rename(session, target, to, tag).await
        }
        operations => {
            let alterations = table::alterations(session, state, &target, operations).await?;
            commit(session, state, target, alterations, tag).await
        }
    }
}

async fn rename(session: &Session, from: Target, to: Target, tag: &'static str) -> Result<Execution> {
    if from.is_temporary() {
        if session.temporary.find(&to.name).is_some() {
            return Err(to.duplicate());
        }
        if let Some(relation) = session.temporary.remove(&from.name) {
            session.temporary.put(&to.name, renamed(relation, &to.name));
        }
        return Ok(Execution::done(tag));
    }
    target::now_or_at_commit(session, from.to_string(), tag, move |session| {
        Box::pin(async move {
            let catalog = &session.engine.catalog;
            catalog.rename_relation((&from.schema, &from.name), (&to.schema, &to.name)).await
        })
    })
    .await
}

fn renamed(relation: TemporaryRelation, name: &str) -> TemporaryRelation {
    match relation {
        TemporaryRelation::Table(mut table) => {
            table.name = name.to_owned();
            TemporaryRelation::Table(table)
        }
        TemporaryRelation::View(mut view) => {
            std::sync::Arc::make_mut(&mut view).name = name.to_owned();
            TemporaryRelation::View(view)
        }
    }
}

async fn rename_schema(session: &Session, alter: &Alter) -> Result<Execution> {
    let [Operation::RenameTo(to)] = alter.operations.as_slice() else {
        return Err(Error::unsupported("ALTER SCHEMA but for RENAME TO"));
    };
    let (name, to) = (target::folded(&comment::single(&alter.name)?), target::folded(&comment::single(to)?));
    target::now_or_at_commit(session, format!("schema {name}"), "ALTER SCHEMA", move |session| {
        Box::pin(async move { session.engine.catalog.rename_schema(&name, &to).await })
    })
    .await
}

/// Changes a table's definition in one commit; in a transaction block, in the block's.
pub(super) async fn commit(
    session: &Session,
    state: &SessionState,
    target: Target,
    alterations: Vec<Alteration>,
    tag: &'static str,
) -> Result<Execution> {
    rows::check_writable(session, &target, tag)?;
    let (alterations, target) = (&alterations, &target);
    let skipped = rows::retrying(session, target, |snapshot| async move {
        let altered = session.engine.lake.alter(&snapshot, alterations, state).await;
        altered.map(|altered| altered.skipped).map_err(|error| described(error, target))
    });
    let mut done = Execution::done(tag);
    for skipped in skipped.await? {
        done = done.with_notice("NOTICE", skipped);
    }
    Ok(done)
}

/// The lake's errors with the table's name, in PostgreSQL's words.
fn described(error: LakeError, target: &Target) -> Error {
    let table = &target.name;
    let (kind, message) = match &error {
        LakeError::CheckViolation { constraint, .. } => {
            let message = format!("check constraint \"{constraint}\" of relation \"{table}\" is violated by some row");
            (Kind::CheckViolation, message)
        }
        LakeError::NotNullViolation { column, .. } => {
            (Kind::NotNullViolation, format!("column \"{column}\" of relation \"{table}\" contains null values"))
        }
        LakeError::UndefinedColumn { column } => {
            (Kind::UndefinedColumn, format!("column \"{column}\" of relation \"{table}\" does not exist"))
        }
        LakeError::DuplicateColumn { column } => {
            (Kind::DuplicateColumn, format!("column \"{column}\" of relation \"{table}\" already exists"))
        }
        LakeError::UndefinedConstraint { constraint } => {
            (Kind::UndefinedObject, format!("constraint \"{constraint}\" of relation \"{table}\" does not exist"))
        }
        LakeError::DuplicateConstraint { constraint } => {
            (Kind::DuplicateObject, format!("constraint \"{constraint}\" for relation \"{table}\" already exists"))
        }
        _ => return error.into(),
    };
    Error { detail: error.detail(), hint: error.hint(), ..Error::new(kind, message) }
}
