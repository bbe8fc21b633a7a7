//! `COMMENT ON`: what is said about a Delta table and its columns stands in its own log, the rest in the catalog.

use alluvia_lake::{Alteration, Format};
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{CommentObject, Ident, ObjectName, Statement as Ast};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::create_model::parse_model_name;
use super::target::Target;
use super::upkeep::{comes, take};
use super::{Usage, alter, target};
use crate::error::{Error, Kind, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) const USAGE: Usage = Usage {
    statement: "COMMENT ON",
    usage: "COMMENT ON {TABLE | COLUMN | VIEW | SCHEMA | MODEL} <name> IS {'<text>' | NULL}",
};

/// The statement as parsed.
#[derive(Clone, Debug)]
pub(crate) struct Comment {
    on: On,
    text: Option<String>,
}

#[derive(Clone, Debug)]
enum On {
    Table(ObjectName),
    View(ObjectName),
    /// Its last part is the column.
    Column(ObjectName),
    Schema(ObjectName),
    Model(String),
    Other(CommentObject),
}

impl Comment {
    /// `None` when what comes is something else.
    pub fn parse(parser: &mut Parser<'_>) -> Result<Option<Comment>, ParserError> {
        let on = match () {
            () if take(parser, &["COMMENT", "ON", "MODEL"]) => On::Model(parse_model_name(parser)?),
            () if take(parser, &["COMMENT", "ON", "VIEW"]) => On::View(parser.parse_object_name(false)?),
            () if comes(parser, &["COMMENT", "ON"]) => {
                let Ast::Comment { object_type, object_name, comment, .. } = parser.parse_statement()? else {
                    return Ok(None);
                };
                let on = match object_type {
                    CommentObject::Table => On::Table(object_name),
                    CommentObject::Column => On::Column(object_name),
                    CommentObject::Schema => On::Schema(object_name),
                    other => On::Other(other),
                };
                return Ok(Some(Comment { on, text: comment }));
            }
            () => return Ok(None),
        };
        parser.expect_keyword_is(Keyword::IS)?;
        let text = match parser.parse_keyword(Keyword::NULL) {
            true => None,
            false => Some(parser.parse_literal_string()?),
        };
        Ok(Some(Comment { on, text }))
    }
}

pub(super) async fn run(session: &Session, state: &SessionState, comment: &Comment) -> Result<Execution> {
    // An empty text takes a comment back, as in PostgreSQL.
    let text = comment.text.clone().filter(|text| !text.is_empty());
    let snapshot = session.engine.catalog.snapshot();
    match &comment.on {
        On::Table(name) => {
            let target = Target::existing(session, name)?;
            let entry = target.entry(session)?;
            if entry.kind.format() != Format::Delta {
                return note(session, entry.oid, String::new(), text, target.to_string()).await;
            }
            alter::commit(session, state, target, vec![Alteration::CommentTable(text)], "COMMENT").await
        }
        On::Column(name) => on_column(session, state, name, text).await,
        On::View(name) => {
            let target = Target::existing(session, name)?;
            let Some(view) = target.view(session) else {
                return Err(match target.exists(session) {
                    true => Error::new(Kind::WrongObjectType, format!("\"{}\" is not a view", target.name)),
                    false => target.undefined(),
                });
            };
            refuse_temporary(&target)?;
            note(session, view.oid, String::new(), text, target.to_string()).await
        }
        On::Schema(name) => {
            let parts = target::parts(name)?;
            let schema = parts.last().and_then(|name| snapshot.schemas.get(name)).filter(|_| parts.len() == 1);
            let undefined = || Error::new(Kind::UndefinedSchema, format!("schema \"{name}\" does not exist"));
            let schema = schema.ok_or_else(undefined)?;
            note(session, schema.oid, String::new(), text, format!("schema {}", schema.name)).await
        }
        On::Model(name) => {
            let undefined = || Error::new(Kind::UndefinedObject, format!("model \"{name}\" does not exist"));
            let model = snapshot.model(name).ok_or_else(undefined)?;
            note(session, model.oid, String::new(), text, format!("model {name}")).await
        }
        On::Other(other) => Err(Error::unsupported(format!("COMMENT ON {other}"))),
    }
}

async fn on_column(
    session: &Session,
    state: &SessionState,
    name: &ObjectName,
    text: Option<String>,
) -> Result<Execution> {
    let mut parts = name.0.clone();
    let column = parts.pop().and_then(|part| part.as_ident().map(target::folded)).unwrap_or_default();
    if parts.is_empty() {
        return Err(Error::new(Kind::SyntaxError, "column name must be qualified"));
    }
    let target = Target::existing(session, &ObjectName(parts))?;
    let undefined = || {
        let message = format!("column \"{column}\" of relation \"{}\" does not exist", target.name);
        Error::new(Kind::UndefinedColumn, message)
    };
    if let Some(view) = target.view(session) {
        refuse_temporary(&target)?;
        if view.columns.field_with_name(&column).is_err() {
            return Err(undefined());
        }
        return note(session, view.oid, column, text, target.to_string()).await;
    }
    let entry = target.entry(session)?;
    if entry.kind.format() == Format::Delta {
        let alteration = Alteration::CommentColumn { column, comment: text };
        return alter::commit(session, state, target, vec![alteration], "COMMENT").await;
    }
    let provider = session.sources.lake.open(&entry, &entry.name).await?;
    if provider.schema().field_with_name(&column).is_err() {
        return Err(undefined());
    }
    note(session, entry.oid, column, text, target.to_string()).await
}

fn refuse_temporary(target: &Target) -> Result<()> {
    if target.is_temporary() { Err(Error::unsupported("COMMENT ON a temporary view")) } else { Ok(()) }
}

async fn note(session: &Session, oid: u32, column: String, text: Option<String>, target: String) -> Result<Execution> {
    target::now_or_at_commit(session, target, "COMMENT", move |session| {
        Box::pin(async move { session.engine.catalog.set_comment(oid, &column, text.as_deref()).await })
    })
    .await
}

/// A name of one part.
pub(super) fn single(name: &ObjectName) -> Result<Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident().cloned().ok_or_else(|| Error::unsupported(format!("the name {name}"))),
        _ => Err(Error::new(Kind::SyntaxError, format!("a name of one part is wanted here: {name}"))),
    }
}
