//! What a writing statement writes to, and how it stands with an open transaction block.

use std::fmt;
use std::sync::Arc;

use alluvia_lake::{Format, Lake, StoreKind};
use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, SqlOption, Value};
use futures::future::BoxFuture;
use url::Url;

use crate::catalog::{RESERVED_SCHEMAS, TableEntry, TableKind, ViewEntry};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::planning::{CATALOG, TEMPORARY_SCHEMA, default_schema, search_path};
use crate::session::Session;
use crate::transaction::{DeferredWork, PendingWrite, TransactionStatus};

/// A table's full name, folded as PostgreSQL folds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub schema: String,
    pub name: String,
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.schema, self.name)
    }
}

impl Target {
    pub fn of(session: &Session, name: &ObjectName) -> Result<Target> {
        let parts = parts(name)?;
        let target = match parts.as_slice() {
            [name] => Target { schema: default_schema(&session.settings.lock(), &session.engine), name: name.clone() },
            [schema, name] => Target { schema: schema.clone(), name: name.clone() },
            [catalog, schema, name] if catalog == CATALOG => Target { schema: schema.clone(), name: name.clone() },
            [catalog, _, _] if session.engine.catalog.snapshot().attachments.contains_key(catalog) => {
                return Err(read_only(catalog));
            }
            _ => return Err(Error::unsupported(format!("the name {name} of another database"))),
        };
        if RESERVED_SCHEMAS.contains(&target.schema.as_str()) {
            return Err(Error::new(Kind::InsufficientPrivilege, format!("schema \"{}\" is read-only", target.schema)));
        }
        let snapshot = session.engine.catalog.snapshot();
        if snapshot.attachments.contains_key(&target.schema) && !snapshot.schemas.contains_key(&target.schema) {
            return Err(read_only(&target.schema));
        }
        Ok(target)
    }

    /// The name of a relation that the session keeps to itself.
    pub fn temporary(name: &ObjectName) -> Result<Target> {
        match parts(name)?.as_slice() {
            [name] => Ok(Target { schema: TEMPORARY_SCHEMA.to_owned(), name: name.clone() }),
            [schema, name] if schema == TEMPORARY_SCHEMA => Ok(Target { schema: schema.clone(), name: name.clone() }),
            _ => Err(Error::new(
                Kind::InvalidTableDefinition,
                "cannot create temporary relation in non-temporary schema",
            )),
        }
    }

    pub fn is_temporary(&self) -> bool {
        self.schema == TEMPORARY_SCHEMA
    }

    /// As `of`, but a bare name is that of the first relation on the search path which has it, the session's own first.
    pub fn existing(session: &Session, name: &ObjectName) -> Result<Target> {
        let target = Target::of(session, name)?;
        if name.0.len() == 1 && session.temporary.find(&target.name).is_some() {
            return Ok(Target { schema: TEMPORARY_SCHEMA.to_owned(), name: target.name });
        }
        if name.0.len() > 1 || target.exists(session) {
            return Ok(target);
        }
        let path = search_path(&session.settings.lock(), &session.engine);
        let elsewhere = path.into_iter().map(|schema| Target { schema, name: target.name.clone() });
        Ok(elsewhere.into_iter().find(|candidate| candidate.exists(session)).unwrap_or(target))
    }

    /// The table as the catalog, or the session, has it.
    pub fn entry(&self, session: &Session) -> Result<TableEntry> {
        let table = match self.is_temporary() {
            true => session.temporary.table(&self.name),
            false => session.engine.catalog.snapshot().table(&self.schema, &self.name).cloned(),
        };
        match table {
            Some(table) => Ok(table),
            None if self.view(session).is_some() => {
                Err(Error::new(Kind::WrongObjectType, format!("\"{}\" is a view, not a table", self.name))
                    .with_hint("Change the tables that it is made from."))
            }
            None => Err(self.undefined()),
        }
    }

    /// The view of this name, if it is one.
    pub fn view(&self, session: &Session) -> Option<Arc<ViewEntry>> {
        session.sources.view(&self.schema, &self.name)
    }

    /// Whether there is a table or view of this name.
    pub fn exists(&self, session: &Session) -> bool {
        session.sources.oid(&self.schema, &self.name).is_some()
    }

    pub fn undefined(&self) -> Error {
        Error::new(Kind::UndefinedTable, format!("relation \"{}\" does not exist", self.shown()))
    }

    pub fn duplicate(&self) -> Error {
        Error::new(Kind::DuplicateTable, format!("relation \"{}\" already exists", self.shown()))
    }

    fn shown(&self) -> String {
        if self.schema == crate::catalog::DEFAULT_SCHEMA || self.is_temporary() {
            self.name.clone()
        } else {
            self.to_string()
        }
    }
}

fn read_only(database: &str) -> Error {
    Error::new(Kind::ReadOnlyTransaction, format!("database \"{database}\" is attached read-only"))
        .with_hint("Write to it through the server that it belongs to.")
}

pub(super) fn parts(name: &ObjectName) -> Result<Vec<String>> {
    let part = |part: &datafusion::sql::sqlparser::ast::ObjectNamePart| {
        part.as_ident().map(folded).ok_or_else(|| Error::unsupported(format!("the name {name}")))
    };
    name.0.iter().map(part).collect()
}

pub(super) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

pub(super) fn in_block(session: &Session) -> bool {
    session.transaction.lock().status == TransactionStatus::InTransaction
}

/// For statements whose effect can't be put off.
pub(super) fn check_outside_block(session: &Session, statement: &str) -> Result<()> {
    session.transaction.lock().check_writable(statement)?;
    if in_block(session) {
        return Err(Error::new(Kind::ActiveTransaction, format!("{statement} cannot run inside a transaction block"))
            .with_hint("Run it outside BEGIN and COMMIT; with a driver, turn autocommit on."));
    }
    Ok(())
}

/// Runs a change of the catalog now, or at COMMIT when a transaction block is open.
pub(super) async fn now_or_at_commit(
    session: &Session,
    target: String,
    tag: &'static str,
    work: impl for<'a> FnOnce(&'a Session) -> BoxFuture<'a, Result<()>> + Send + Sync + 'static,
) -> Result<Execution> {
    session.transaction.lock().check_writable(tag)?;
    if !in_block(session) {
        work(session).await?;
        return Ok(Execution::done(tag));
    }
    let mut transaction = session.transaction.lock();
    if let Some(pending) = &transaction.pending {
        return Err(crate::transaction::two_targets(&pending.target, &target));
    }
    transaction.pending = Some(PendingWrite { target, work: Box::new(Deferred { tag, work: Box::new(work) }) });
    Ok(Execution::done(tag).with_notice("NOTICE", format!("{tag} takes effect at COMMIT")))
}

type Work = dyn for<'a> FnOnce(&'a Session) -> BoxFuture<'a, Result<()>> + Send + Sync;

struct Deferred {
    tag: &'static str,
    work: Box<Work>,
}

impl fmt::Debug for Deferred {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Deferred").field("tag", &self.tag).finish()
    }
}

#[async_trait::async_trait]
impl DeferredWork for Deferred {
    async fn commit(self: Box<Self>, session: &Session) -> Result<()> {
        (self.work)(session).await
    }

    async fn roll_back(self: Box<Self>, _session: &Session) {}

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// A LOCATION: a URL, or a path, which is taken from the server's working directory when it is relative.
pub(crate) fn location(text: &str) -> Result<Url> {
    if let Ok(url) = Url::parse(text)
        && url.scheme().len() > 1
    {
        return match url.scheme() {
            "file" => Ok(url),
            _ if StoreKind::of(&url).is_some() => {
                Lake::new().check_location(&url)?;
                Ok(url)
            }
            scheme => Err(Error::unsupported(format!("the location scheme \"{scheme}\""))
                .with_hint("Use a path, or a URL that begins with file://, s3://, az://, abfss:// or gs://.")),
        };
    }
    let invalid = || Error::new(Kind::InvalidParameterValue, format!("invalid location \"{text}\""));
    let path = std::path::absolute(text).map_err(|_| invalid())?;
    if path.is_dir() || text.ends_with('/') || path.extension().is_none() {
        Url::from_directory_path(&path).map_err(|()| invalid())
    } else {
        Url::from_file_path(&path).map_err(|()| invalid())
    }
}

/// A folder, as [`location`] finds it, whatever its name looks like.
pub(super) fn folder(text: &str) -> Result<Url> {
    let found = location(text)?;
    match found.to_file_path() {
        Ok(path) if found.scheme() == "file" => Url::from_directory_path(path)
            .map_err(|()| Error::new(Kind::InvalidParameterValue, format!("invalid location \"{text}\""))),
        _ => Ok(found),
    }
}

/// Where the Delta table of a name lies.
pub(crate) fn delta_location(session: &Session, name: &ObjectName) -> Result<Url> {
    let entry = Target::existing(session, name)?.entry(session)?;
    match entry.kind.format() {
        Format::Delta => Ok(entry.location),
        format => Err(Error::new(Kind::WrongObjectType, format!("\"{}\" is not a Delta table", entry.name))
            .with_detail(format!("It reads {} files.", format.name()))),
    }
}

/// Checks that rows may be added to a table.
pub(super) fn check_insertable(entry: &TableEntry) -> Result<()> {
    match entry.kind {
        TableKind::Managed | TableKind::Located => Ok(()),
        TableKind::External(_) => Err(Error::unsupported(format!("writing to external table \"{}\"", entry.name))
            .with_hint("CREATE TABLE ... LOCATION opens a Delta table for writing.")),
    }
}

/// `key = value` options as text.
pub(super) fn options(options: &[SqlOption]) -> Result<Vec<(String, String)>> {
    let pair = |option: &SqlOption| match option {
        SqlOption::KeyValue { key, value } => Ok((key.value.clone(), text(value)?)),
        other => Err(Error::unsupported(format!("the option {other}"))),
    };
    options.iter().map(pair).collect()
}

fn text(value: &Expr) -> Result<String> {
    match value {
        Expr::Identifier(ident) => Ok(ident.value.clone()),
        Expr::Array(array) => Ok(array.elem.iter().map(text).collect::<Result<Vec<_>>>()?.join(",")),
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => Ok(number.to_string()),
            Value::Boolean(on) => Ok(on.to_string()),
            other => other
                .clone()
                .into_string()
                .ok_or_else(|| Error::new(Kind::SyntaxError, format!("an option's value must be a literal: {other}"))),
        },
        other => Err(Error::new(Kind::SyntaxError, format!("an option's value must be a literal: {other}"))),
    }
}
