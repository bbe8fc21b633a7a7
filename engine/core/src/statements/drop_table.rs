//! `DROP TABLE` and `DROP VIEW`: a managed table's files go, those of a located or external one stay.

use datafusion::sql::sqlparser::ast::ObjectName;

use super::Usage;
use super::target::{self, Target};
use crate::catalog::Dropped;
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::planning::TemporaryRelation;
use crate::reading::discard_after_readers;
use crate::session::Session;

pub(super) const USAGE: Usage =
    Usage { statement: "DROP TABLE", usage: "DROP TABLE [IF EXISTS] <name> [, ...] [CASCADE | RESTRICT]" };

pub(super) const USAGE_OF_VIEWS: Usage =
    Usage { statement: "DROP VIEW", usage: "DROP VIEW [IF EXISTS] <name> [, ...] [CASCADE | RESTRICT]" };

/// `kind`: `table` or `view`. All are dropped, or none.
pub(super) async fn run(
    session: &Session,
    kind: &'static str,
    names: &[ObjectName],
    if_exists: bool,
    cascade: bool,
) -> Result<Execution> {
    let tag = if kind == "view" { "DROP VIEW" } else { "DROP TABLE" };
    let targets = names.iter().map(|name| Target::existing(session, name)).collect::<Result<Vec<_>>>()?;
    let (known, unknown): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| target.exists(session));
    if let Some(target) = unknown.first().filter(|_| !if_exists) {
        return Err(Error::new(Kind::UndefinedTable, format!("{kind} \"{}\" does not exist", target.name)));
    }
    let (own, shared): (Vec<_>, Vec<_>) = known.into_iter().partition(Target::is_temporary);
    let oids: Vec<u32> =
        own.iter().chain(&shared).filter_map(|target| session.sources.oid(&target.schema, &target.name)).collect();
    let mut users = session.temporary.dependents(&oids);
    users.retain(|name| own.iter().all(|target| target.name != *name));
    if !cascade && !users.is_empty() {
        let names: Vec<&str> = own.iter().chain(&shared).map(|target| target.name.as_str()).collect();
        let lines: Vec<String> = users.iter().map(|name| format!("view {name} depends on it")).collect();
        let message = format!("cannot drop {kind} {} because other objects depend on it", names.join(", "));
        return Err(Error::new(Kind::DependentObjectsExist, message)
            .with_detail(lines.join("\n"))
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    check_kinds(session, kind, &own)?;
    session.transaction.lock().check_writable(tag)?;
    let gone: Vec<String> = own.iter().map(|target| target.name.clone()).chain(users.iter().cloned()).collect();
    let mut done = Execution::done(tag);
    if target::in_block(session) && !(gone.is_empty() && shared.is_empty()) {
        let shown: Vec<String> = own.iter().chain(&shared).map(Target::to_string).collect();
        done = target::now_or_at_commit(session, shown.join(", "), tag, move |session| {
            Box::pin(async move { drop_all(session, kind, tag, shared, gone, cascade).await.map(|_| ()) })
        })
        .await?;
    } else if !(gone.is_empty() && shared.is_empty()) {
        done = drop_all(session, kind, tag, shared, gone, cascade).await?;
    }
    for name in users {
        done = done.with_notice("NOTICE", format!("drop cascades to view {name}"));
    }
    for target in unknown {
        done = done.with_notice("NOTICE", format!("{kind} \"{}\" does not exist, skipping", target.name));
    }
    Ok(done)
}

fn check_kinds(session: &Session, kind: &str, own: &[Target]) -> Result<()> {
    match own.iter().find(|target| target.view(session).is_some() != (kind == "view")) {
        Some(target) => Err(Error::new(Kind::WrongObjectType, format!("\"{}\" is not a {kind}", target.name))),
        None => Ok(()),
    }
}

/// `gone`: the session's own.
async fn drop_all(
    session: &Session,
    kind: &'static str,
    tag: &'static str,
    shared: Vec<Target>,
    gone: Vec<String>,
    cascade: bool,
) -> Result<Execution> {
    let names: Vec<(String, String)> = shared.into_iter().map(|target| (target.schema, target.name)).collect();
    let dropped = match names.is_empty() {
        true => Dropped::default(),
        false => session.engine.catalog.drop_relations(kind, &names, cascade).await?,
    };
    for name in gone {
        if let Some(TemporaryRelation::Table(table)) = session.temporary.remove(&name) {
            discard_after_readers(&session.engine, *table);
        }
    }
    Ok(discarded(session, dropped, tag))
}

/// Removes the files of dropped tables once nobody reads them, and tells of what went along.
pub(super) fn discarded(session: &Session, dropped: Dropped, tag: &'static str) -> Execution {
    for table in dropped.tables {
        discard_after_readers(&session.engine, table);
    }
    let mut done = Execution::done(tag);
    for name in dropped.cascaded {
        done = done.with_notice("NOTICE", format!("drop cascades to {name}"));
    }
    done
}
