//! One connection's state, and the whole path of a statement: `parse` -> `prepare` -> `execute`.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::Result;
use crate::execution::{Execution, Limits, StatementContext};
use crate::parser::{self, Statement};
use crate::planning::{Overlay, Sources, Temporary, session_state};
use crate::settings::Settings;
use crate::statements::{self, copy::CopyIn};
use crate::transaction::Transaction;
pub use crate::transaction::TransactionStatus;

/// A session. All methods take `&self`, so that a connection may cancel what another of its tasks runs.
pub struct Session {
    pub(crate) engine: Arc<Engine>,
    /// Functions, rules and catalogs; a statement works on a copy with its own configuration.
    template: SessionState,
    /// Tables that only this session sees: those of its open transaction.
    pub(crate) overlay: Arc<Overlay>,
    /// Its temporary tables and views.
    pub(crate) temporary: Arc<Temporary>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) settings: Arc<Mutex<Settings>>,
    pub(crate) transaction: Mutex<Transaction>,
    token: Mutex<CancellationToken>,
    user: String,
    database: String,
    process_id: i32,
}

/// A statement with its types known. It holds no plan: execution plans again, on the tables as they are then.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub statement: Statement,
    /// No fields when `returns_rows` is false.
    pub schema: SchemaRef,
    pub returns_rows: bool,
    /// Types of `$1`, `$2`, ...
    pub parameters: Vec<DataType>,
}

impl Session {
    pub(crate) fn open(engine: Arc<Engine>, user: &str, database: &str, process_id: i32) -> Result<Self> {
        let overlay = Arc::new(Overlay::default());
        let mut settings = Settings::default();
        settings.force("session_authorization", user);
        let settings = Arc::new(Mutex::new(settings));
        let identity = crate::planning::Identity { user: user.into(), process_id };
        let temporary = Arc::new(Temporary::default());
        let sources = crate::planning::sources(&engine, &overlay, &temporary, &settings);
        let template = session_state(&sources, &identity)?;
        Ok(Self {
            engine,
            template,
            overlay,
            temporary,
            sources,
            settings,
            transaction: Mutex::default(),
            token: Mutex::default(),
            user: user.into(),
            database: database.into(),
            process_id,
        })
    }

    /// Splits a text into statements; blank text gives none.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        parser::parse(sql)
    }

    /// Finds a statement's parameter and result types. `parameter_types`: what the client declared, by position.
    pub async fn prepare(&self, statement: Statement, parameter_types: &[Option<DataType>]) -> Result<Prepared> {
        let state = self.statement_state();
        let limits = self.limits();
        let described = limits.guard(async {
            self.check_alive(&statement)?;
            statements::relations::describe(self, &state, &statement, parameter_types).await
        });
        let described = described.await.inspect_err(|_| self.fail())?;
        Ok(Prepared {
            statement,
            schema: described.schema,
            returns_rows: described.returns_rows,
            parameters: described.parameters,
        })
    }

    /// Runs a prepared statement. An error, here or in the stream, aborts an open transaction block; for those in the
    /// stream, and its own, the caller says so by `fail`.
    pub async fn execute(&self, prepared: &Prepared, parameters: Vec<ScalarValue>) -> Result<Execution> {
        if self.transaction_status() == TransactionStatus::Idle {
            // What `set_config(..., true)` set for the statement before, outside a block, was for that one alone.
            self.settings.lock().end_local();
        }
        let state = self.statement_state();
        let limits = self.limits();
        let started = limits.guard(async {
            self.check_alive(&prepared.statement)?;
            statements::relations::run(self, &state, &prepared.statement, parameters).await
        });
        let mut execution = started.await.inspect_err(|_| self.fail())?;
        execution.stream = limits.guard_stream(execution.stream);
        Ok(execution)
    }

    /// Takes the rows that a COPY waits for, in one commit or none; gives their number. An error aborts an open
    /// transaction block, and so does the caller, by `fail`, when it gives up: dropping the future commits nothing.
    pub async fn copy_in(&self, copy: CopyIn) -> Result<u64> {
        statements::copy::load(self, copy).await.inspect_err(|_| self.fail())
    }

    /// The value of a setting; `None` when there is none of that name.
    pub fn setting(&self, name: &str) -> Option<String> {
        self.settings.lock().value(name)
    }

    /// As `SET name TO value` does.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        self.settings.lock().set(name, value)
    }

    /// Settings of which a client is told at the start.
    pub fn reported_settings(&self) -> Vec<(String, String)> {
        self.settings.lock().reported()
    }

    /// Those among them that changed since last asked.
    pub fn changed_settings(&self) -> Vec<(String, String)> {
        self.settings.lock().take_changed()
    }

    pub fn transaction_status(&self) -> TransactionStatus {
        self.transaction.lock().status
    }

    /// Ends the statement that runs now: planning, streaming and inference alike.
    pub fn cancel(&self) {
        std::mem::take(&mut *self.token.lock()).cancel();
    }

    /// Aborts the transaction block, if one is open, because a statement in it failed.
    pub fn fail(&self) {
        let mut transaction = self.transaction.lock();
        if transaction.status == TransactionStatus::InTransaction {
            transaction.status = TransactionStatus::Failed;
        }
    }

    /// Rolls back what is open; the connection is gone.
    pub async fn close(&self) {
        self.cancel();
        statements::transaction::discard(self).await;
        statements::temporary::discard(self).await;
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    /// What `pg_backend_pid()` says, and cancel requests name.
    pub fn process_id(&self) -> i32 {
        self.process_id
    }

    /// The planner's state for one statement: this session's settings, a query number of its own.
    pub(crate) fn statement_state(&self) -> SessionState {
        let mut state = self.template.clone();
        let context = StatementContext { query_id: self.engine.start_query(), user: self.user.clone() };
        state.config_mut().set_extension(Arc::new(context));
        crate::planning::apply_settings(&mut state, &self.settings.lock(), &self.engine, &self.temporary);
        state.mark_start_execution();
        state
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits::new(self.token.lock().clone(), self.settings.lock().statement_timeout(), self.engine.readers.begin())
    }

    fn check_alive(&self, statement: &Statement) -> Result<()> {
        if statements::ends_transaction(statement) { Ok(()) } else { self.transaction.lock().check_alive() }
    }
}
