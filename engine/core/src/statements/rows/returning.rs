//! RETURNING: a query over the affected rows, as they are stored.

use std::sync::Arc;

use alluvia_lake::{Changed, Keeper, Kept, Snapshot, Staged};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::physical_plan::execute_stream;
use datafusion::sql::sqlparser::ast::{Ident, SelectItem, Statement as Ast};
use futures::TryStreamExt;

use super::pinned;
use super::row_change::{select, table_as};
use crate::error::Result;
use crate::execution::{CommandTag, Execution};
use crate::parser::{OutputNames, name_outputs};
use crate::planning::apart;
use crate::session::Session;
use crate::statements::parameters::parameter_types;
use crate::statements::query;
use crate::statements::target::Target;

/// The name under which the affected rows are scanned.
const AFFECTED: &str = "__alluvia_affected";

pub(in crate::statements) struct Returning {
    target: Target,
    ast: Ast,
    names: Option<OutputNames>,
}

impl Returning {
    pub fn new(target: &Target, alias: &Ident, items: &[SelectItem]) -> Result<Returning> {
        let from = vec![table_as(target, AFFECTED, alias)?];
        let mut ast = select(items.to_vec(), from, None)?;
        let names = match &mut ast {
            Ast::Query(query) => name_outputs(query),
            _ => None,
        };
        Ok(Returning { target: target.clone(), ast, names })
    }

    /// The result's columns, and the types of the parameters that occur in it.
    pub async fn describe(
        &self,
        session: &Session,
        state: &SessionState,
        snapshot: &Snapshot,
        declared: &[Option<DataType>],
    ) -> Result<(SchemaRef, Vec<DataType>)> {
        let rows: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(snapshot.schema()));
        let state = pinned(state, &self.target, snapshot, vec![(AFFECTED, rows)])?;
        let plan = query::plan(session, &state, &self.ast).await?;
        let parameters = parameter_types(&plan, declared)?;
        let plan = query::analyzed(&state, query::typed(plan, &parameters)?)?;
        Ok((self.shown(Arc::clone(plan.schema().inner())), parameters))
    }

    /// The result, computed to its end: what fails in it must fail before the rows are changed for good.
    pub async fn rows(
        &self,
        session: &Session,
        state: &SessionState,
        snapshot: &Snapshot,
        affected: &Kept,
        parameters: Vec<ScalarValue>,
    ) -> Result<Kept> {
        let state = pinned(state, &self.target, snapshot, vec![(AFFECTED, affected.provider()?)])?;
        let plan = query::with_parameters(query::plan(session, &state, &self.ast).await?, parameters)?;
        let planner = state.clone();
        let planned = apart(async move { Ok(planner.create_physical_plan(&plan).await?) }).await?;
        let mut stream = execute_stream(planned, state.task_ctx())?;
        let mut keeper = Keeper::new(stream.schema(), state.runtime_env().clone());
        while let Some(batch) = stream.try_next().await? {
            keeper.put(batch)?;
        }
        Ok(keeper.finish()?)
    }

    /// The statement's end: its rows and its tag.
    pub fn execution(&self, rows: &Kept, tag: String) -> Execution {
        let execution = Execution::rows("SELECT", query::renamed(rows.stream(), self.shown(rows.schema())));
        Execution { tag: CommandTag::Done(tag), ..execution }
    }

    /// Computes the result of a change, if one is wanted, and commits it.
    pub async fn commit(
        returning: Option<&Returning>,
        session: &Session,
        state: &SessionState,
        snapshot: &Snapshot,
        mut staged: Staged,
        parameters: Vec<ScalarValue>,
    ) -> Result<(Changed, Option<Kept>)> {
        let rows = match (returning, staged.returned().cloned()) {
            (Some(returning), affected) => {
                let none = || Keeper::new(snapshot.schema(), state.runtime_env().clone()).finish();
                let affected = affected.map_or_else(none, Ok)?;
                match returning.rows(session, state, snapshot, &affected, parameters).await {
                    Ok(rows) => Some(rows),
                    Err(error) => {
                        staged.discard().await;
                        return Err(error);
                    }
                }
            }
            (None, _) => None,
        };
        let changed = staged.commit().await?;
        session.engine.lake.committed(snapshot);
        Ok((changed, rows))
    }

    fn shown(&self, schema: SchemaRef) -> SchemaRef {
        match &self.names {
            Some(names) => names.apply(&schema),
            None => schema,
        }
    }
}
