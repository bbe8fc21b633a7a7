//! The extended protocol: Parse, Bind, Describe, Execute, Close over named and unnamed statements and portals.

use std::sync::Arc;

use alluvia_core::{CommandTag, Prepared};
use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};

use super::decode;
use super::describe::{description, formats, same_types};
use super::frontend::{Bind, Parse, Target};
use super::portal::{Portal, PortalState, PreparedStatement, Running, Stop, exhaust};
use super::report::{Failure, Report};
use super::time_zone::TimeZone;
use super::types::{UNKNOWN, arrow_type, pg_type};
use super::worker::Worker;
use crate::sqlstate::SqlState;

/// Prepared statements, and portals, that one connection may hold.
const NAMED_MAX: usize = 10_000;

impl Worker {
    pub(super) async fn parse(&mut self, parse: Parse) -> Result<(), Failure> {
        if parse.name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(&parse.name) {
            let message = format!("prepared statement \"{}\" already exists", parse.name);
            return Err(Report::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message).into());
        }
        check_room(self.statements.len(), "prepared statements")?;
        let declared = parse.parameter_oids.iter().map(|oid| declared_type(*oid)).collect::<Result<Vec<_>, _>>()?;
        let mut statements = self.session.parse(&parse.query)?;
        let statement = statements.pop();
        if !statements.is_empty() {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Report::new(SqlState::SYNTAX_ERROR, message).into());
        }
        let prepared = match statement {
            Some(statement) => Some(self.session.prepare(statement, &declared).await?),
            None => None,
        };
        let parameter_oids = match &prepared {
            Some(prepared) => parameter_oids(&parse.parameter_oids, &prepared.parameters),
            None => parse.parameter_oids,
        };
        self.statements.insert(parse.name, Arc::new(PreparedStatement { prepared, parameter_oids }));
        self.outbox.send(PgWireBackendMessage::ParseComplete(ParseComplete::new()))?;
        Ok(())
    }

    pub(super) fn bind(&mut self, bind: Bind) -> Result<(), Failure> {
        let statement = self.statement(&bind.statement)?;
        if bind.portal.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&bind.portal) {
            let message = format!("cursor \"{}\" already exists", bind.portal);
            return Err(Report::new(SqlState::DUPLICATE_CURSOR, message).into());
        }
        check_room(self.portals.len(), "portals")?;
        let parameters = parameters(&bind, &statement, &self.encode_options()?.time_zone)?;
        let columns = statement.prepared.as_ref().map_or(0, |prepared| prepared.schema.fields().len());
        let formats = formats(&bind.result_formats, columns, || {
            format!("bind message has {} result formats but query has {columns} columns", bind.result_formats.len())
        })?;
        let portal = Portal { statement, parameters, formats, state: PortalState::Bound };
        self.portals.insert(bind.portal, portal);
        self.outbox.send(PgWireBackendMessage::BindComplete(BindComplete::new()))?;
        Ok(())
    }

    pub(super) fn describe(&mut self, target: &Target) -> Result<(), Failure> {
        let (statement, formats) = match target {
            Target::Statement(name) => {
                let statement = self.statement(name)?;
                let types = ParameterDescription::new(statement.parameter_oids.clone());
                self.outbox.send(PgWireBackendMessage::ParameterDescription(types))?;
                (statement, vec![])
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name).ok_or_else(|| missing_portal(name))?;
                (Arc::clone(&portal.statement), portal.formats.clone())
            }
        };
        let message = match &statement.prepared {
            Some(prepared) => description(&prepared.schema, prepared.returns_rows, &formats)?,
            None => PgWireBackendMessage::NoData(NoData::new()),
        };
        self.outbox.send(message)?;
        Ok(())
    }

    /// Closing what doesn't exist is no error.
    pub(super) fn close(&mut self, target: &Target) -> Result<(), Failure> {
        match target {
            Target::Statement(name) => drop(self.statements.remove(name)),
            Target::Portal(name) => drop(self.portals.remove(name)),
        }
        self.outbox.send(PgWireBackendMessage::CloseComplete(CloseComplete::new()))?;
        Ok(())
    }

    pub(super) async fn execute(&mut self, name: &str, rows_max: u64) -> Result<(), Failure> {
        // Out of the map while it runs: a portal whose run fails is gone.
        let mut portal = self.portals.remove(name).ok_or_else(|| missing_portal(name))?;
        let statement = Arc::clone(&portal.statement);
        let Some(prepared) = &statement.prepared else {
            self.portals.insert(name.to_string(), portal);
            self.outbox.send(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))?;
            return Ok(());
        };
        let status_before = self.session.transaction_status();
        let (rows, stop) = self.advance(&mut portal, prepared, rows_max).await?;
        let message = match (&portal.state, stop) {
            (PortalState::Done(tag), Stop::End) => {
                let tag = tag.clone();
                self.portals.insert(name.to_string(), portal);
                self.finish(&tag, status_before);
                PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.render(rows)))
            }
            _ => {
                self.portals.insert(name.to_string(), portal);
                PgWireBackendMessage::PortalSuspended(PortalSuspended::new())
            }
        };
        self.outbox.send(message)?;
        Ok(())
    }

    /// Starts a portal or goes on with it; leaves its state as it is then.
    async fn advance(
        &mut self,
        portal: &mut Portal,
        prepared: &Prepared,
        rows_max: u64,
    ) -> Result<(u64, Stop), Failure> {
        let mut running = match std::mem::replace(&mut portal.state, PortalState::Bound) {
            PortalState::Suspended(running) => running,
            PortalState::Done(tag @ CommandTag::Rows(_)) => {
                portal.state = PortalState::Done(tag);
                return Ok((0, Stop::End));
            }
            PortalState::Done(_) => {
                let report = Report::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "portal cannot be run");
                return Err(report.with_detail("It has run to its end.").into());
            }
            PortalState::Bound => {
                let deadline = self.deadline();
                let mut execution = self.session.execute(prepared, portal.parameters.clone()).await?;
                self.send_notices(&execution)?;
                if let Some(copying) = execution.copy.take() {
                    let tag = execution.tag.clone();
                    let rows = self.copy(execution, copying, deadline).await?;
                    portal.state = PortalState::Done(CommandTag::Done(tag.render(rows)));
                    return Ok((0, Stop::End));
                }
                if !execution.returns_rows {
                    portal.state = PortalState::Done(exhaust(execution).await?);
                    return Ok((0, Stop::End));
                }
                if !same_types(&prepared.schema, &execution.schema) {
                    let message = "cached plan must not change result type";
                    return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, message).into());
                }
                Box::new(Running::new(execution, &portal.formats, &self.encode_options()?, deadline)?)
            }
        };
        let (rows, stop) = running.run(&mut self.outbox, &self.cancelled, rows_max).await?;
        portal.state = match stop {
            Stop::End => PortalState::Done(running.tag()),
            Stop::RowLimit => PortalState::Suspended(running),
        };
        Ok((rows, stop))
    }

    fn statement(&self, name: &str) -> Result<Arc<PreparedStatement>, Report> {
        self.statements.get(name).cloned().ok_or_else(|| {
            let message = match name {
                "" => "unnamed prepared statement does not exist".to_string(),
                name => format!("prepared statement \"{name}\" does not exist"),
            };
            Report::new(SqlState::INVALID_STATEMENT_NAME, message)
        })
    }
}

/// `None` leaves the type to the server.
fn declared_type(oid: u32) -> Result<Option<DataType>, Report> {
    if oid == 0 || oid == UNKNOWN {
        return Ok(None);
    }
    let unsupported = || {
        let message = format!("parameters of the type with OID {oid} are not supported");
        Report::new(SqlState::FEATURE_NOT_SUPPORTED, message)
    };
    arrow_type(oid).map(Some).ok_or_else(unsupported)
}

/// What the client declared stands; the rest is as the planner found it.
fn parameter_oids(declared: &[u32], found: &[DataType]) -> Vec<u32> {
    let unused = declared.iter().skip(found.len()).copied();
    let found = found.iter().enumerate().map(|(at, data_type)| match declared.get(at) {
        None | Some(&0) | Some(&UNKNOWN) => pg_type(data_type).oid,
        Some(&oid) => oid,
    });
    // A parameter that was declared, but isn't used, is still bound.
    found.chain(unused).collect()
}

fn parameters(bind: &Bind, statement: &PreparedStatement, time_zone: &TimeZone) -> Result<Vec<ScalarValue>, Report> {
    let supplied = bind.parameters.len();
    let required = statement.parameter_oids.len();
    if supplied != required {
        let message = format!(
            "bind message supplies {supplied} parameters, but prepared statement \"{}\" requires {required}",
            bind.statement
        );
        return Err(Report::protocol_violation(message));
    }
    let formats = formats(&bind.parameter_formats, supplied, || {
        format!("bind message has {} parameter formats but {supplied} parameters", bind.parameter_formats.len())
    })?;
    let wanted = statement.prepared.as_ref().map_or(&[][..], |prepared| &prepared.parameters);
    let values = bind.parameters.iter().zip(formats).zip(&statement.parameter_oids).zip(wanted);
    // `wanted` ends the list: a parameter that the statement doesn't use is dropped unread.
    values
        .map(|(((value, format), oid), wanted)| {
            Ok(decode::parameter(value.as_deref(), format, *oid, wanted, time_zone)?)
        })
        .collect()
}

fn check_room(held: usize, what: &str) -> Result<(), Report> {
    if held < NAMED_MAX {
        return Ok(());
    }
    let message = format!("a connection can hold at most {NAMED_MAX} {what}");
    Err(Report::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message))
}

fn missing_portal(name: &str) -> Report {
    Report::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_stand_and_the_rest_is_inferred() {
        let found = [DataType::Int64, DataType::Utf8];
        assert_eq!(parameter_oids(&[23, 0], &found), [23, 25]);
        assert_eq!(parameter_oids(&[], &found), [20, 25]);
        assert_eq!(parameter_oids(&[0, 705, 20], &found), [20, 25, 20]);
    }
}
