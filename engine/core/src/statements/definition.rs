//! Statements that say what things are and that the SQL parser knows not, or not wholly: told apart and parsed here.

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{CreateView, Statement as Ast};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::alter::Alter;
use super::attach::Attach;
use super::comment::Comment;
use super::upkeep::comes;
use super::{alter, attach, comment, create_view};
use crate::error::Result;
use crate::execution::Execution;
use crate::session::Session;

/// A statement as parsed.
#[derive(Clone, Debug)]
pub(crate) enum Definition {
    Alter(Alter),
    Attach(Attach),
    Comment(Comment),
    /// As it was written: what the planner wants otherwise is changed each time the view is planned.
    CreateView(Box<CreateView>),
}

impl Definition {
    /// `None` when what comes is something else.
    pub fn parse(parser: &mut Parser<'_>) -> Result<Option<Definition>, ParserError> {
        if let Some(alter) = Alter::parse(parser)? {
            return Ok(Some(Definition::Alter(alter)));
        }
        if let Some(attach) = Attach::parse(parser)? {
            return Ok(Some(Definition::Attach(attach)));
        }
        if let Some(comment) = Comment::parse(parser)? {
            return Ok(Some(Definition::Comment(comment)));
        }
        if !creates_view(parser) {
            return Ok(None);
        }
        match parser.parse_statement()? {
            Ast::CreateView(view) => Ok(Some(Definition::CreateView(Box::new(view)))),
            other => Err(ParserError::ParserError(format!("Expected: a view, found: {other}"))),
        }
    }

    pub async fn run(&self, session: &Session, state: &SessionState) -> Result<Execution> {
        match self {
            Definition::Alter(alter) => alter::run(session, state, alter).await,
            Definition::Attach(attach) => attach::run(session, attach).await,
            Definition::Comment(comment) => comment::run(session, state, comment).await,
            Definition::CreateView(view) => create_view::run(session, state, view).await,
        }
    }
}

fn creates_view(parser: &Parser<'_>) -> bool {
    let kinds: [&[&str]; 4] = [&["VIEW"], &["TEMP", "VIEW"], &["TEMPORARY", "VIEW"], &["MATERIALIZED", "VIEW"]];
    let starts: [&[&str]; 2] = [&["CREATE"], &["CREATE", "OR", "REPLACE"]];
    starts.iter().any(|start| kinds.iter().any(|kind| comes(parser, &[*start, *kind].concat())))
}
