//! The simple protocol: a text of statements, each run in turn; an error ends the text.

use alluvia_core::{Kind, Statement};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};

use super::describe::row_description;
use super::encode::Format;
use super::portal::{Running, exhaust};
use super::report::Failure;
use super::worker::Worker;

impl Worker {
    pub(super) async fn query(&mut self, sql: &str) -> Result<(), Failure> {
        // As in PostgreSQL, a simple query takes the place of what is unnamed.
        self.statements.remove("");
        self.portals.remove("");
        // The whole text is parsed before any of it runs.
        let statements = self.session.parse(sql)?;
        if statements.is_empty() {
            self.outbox.send(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))?;
        }
        for statement in statements {
            self.query_one(statement).await?;
        }
        Ok(())
    }

    async fn query_one(&mut self, statement: Statement) -> Result<(), Failure> {
        let status_before = self.session.transaction_status();
        let prepared = self.session.prepare(statement, &[]).await?;
        if !prepared.parameters.is_empty() {
            let error = alluvia_core::Error::new(Kind::UndefinedParameter, "there is no parameter $1")
                .with_hint("Parameters need the extended protocol: Parse and Bind.");
            return Err(error.into());
        }
        let deadline = self.deadline();
        let mut execution = self.session.execute(&prepared, vec![]).await?;
        self.send_notices(&execution)?;
        let (tag, rows) = if let Some(copying) = execution.copy.take() {
            let tag = execution.tag.clone();
            (tag, self.copy(execution, copying, deadline).await?)
        } else if execution.returns_rows {
            let formats = vec![Format::Text; execution.schema.fields().len()];
            self.outbox.send(row_description(&execution.schema, &formats)?)?;
            let mut running = Running::new(execution, &formats, &self.encode_options()?, deadline)?;
            let (rows, _) = running.run(&mut self.outbox, &self.cancelled, 0).await?;
            (running.tag(), rows)
        } else {
            (exhaust(execution).await?, 0)
        };
        self.finish(&tag, status_before);
        self.outbox.send(PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.render(rows))))?;
        Ok(())
    }
}
