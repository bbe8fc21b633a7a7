//! Views as tables: their SQL is planned again whenever they are named, with the relations that they were made from.

use std::sync::Arc;

use datafusion::common::{Column, DFSchema};
use datafusion::datasource::ViewTable;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, cast};

use super::overlay::{BARE_SCHEMA, Mode, OverlayCatalogs};
use super::sources::Sources;
use crate::catalog::ViewEntry;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::parser::{self, Statement, StatementKind};

/// Views upon views; more is a mistake.
const DEPTH_MAX: usize = 64;

/// The view as it is now, inlined wherever it is scanned. `depth`: how many views stand above it.
pub(super) async fn provider(sources: &Arc<Sources>, view: &Arc<ViewEntry>, depth: usize) -> Result<ViewTable> {
    if depth >= DEPTH_MAX {
        return Err(Error::new(Kind::StatementTooComplex, "views are nested too deeply")
            .with_detail(format!("At most {DEPTH_MAX} may stand upon each other."))
            .into());
    }
    let Some(mut state) = sources.planner.get().cloned() else {
        return Err(Error::internal("a session without a planner").into());
    };
    super::apply_settings(&mut state, &sources.settings.lock(), &sources.engine, &sources.temporary);
    state.config_mut().options_mut().catalog.default_schema = BARE_SCHEMA.to_owned();
    let mode = Mode::View { view: Arc::clone(view), depth: depth + 1 };
    state.register_catalog_list(Arc::new(OverlayCatalogs::new(Arc::clone(sources), mode)));
    let (_, plan) = plan(&sources.engine, &state, &view.query).await?;
    let plan = fitted(&state, plan, view)?;
    Ok(ViewTable::new(plan, Some(view.query.clone())))
}

/// A view for those who want to know its columns and its text.
pub(super) fn stub(view: &ViewEntry) -> Result<ViewTable> {
    let schema = Arc::new(DFSchema::try_from(view.columns.as_ref().clone())?);
    let nothing = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema });
    Ok(ViewTable::new(nothing, Some(view.query.clone())))
}

/// Parses and plans the text of a view's query.
pub(crate) async fn plan(
    engine: &Engine,
    state: &SessionState,
    query: &str,
) -> Result<(Statement, LogicalPlan), Error> {
    let mut statement = parser::parse(query)?.pop().ok_or_else(|| Error::internal("a view without a query"))?;
    let StatementKind::Sql(ast) = &mut statement.kind else { return Err(Error::internal("a view without a query")) };
    if statement.reads_beside_tables {
        super::versions::resolve(state, ast, Some(&[])).await?;
        crate::table_functions::refuse(ast, "a view")?;
    }
    let plan = crate::statements::query::plan_in(engine, state, ast).await?;
    Ok((statement, plan))
}

/// The plan under the view's names and of its types; refused when what it is made of no longer gives them.
fn fitted(state: &SessionState, plan: LogicalPlan, view: &ViewEntry) -> Result<LogicalPlan> {
    let wanted = view.columns.fields();
    let types = |plan: &LogicalPlan| {
        let fields = plan.schema().fields();
        fields.len() == wanted.len()
            && fields.iter().zip(wanted).all(|(one, other)| one.data_type() == other.data_type())
    };
    if !types(&plan) {
        // Types as analysis leaves them are those that the view was made with.
        let analyzed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
        if !types(&analyzed) {
            return Err(Error::new(
                Kind::InvalidTableDefinition,
                format!("view \"{}\" no longer fits what it is made of", view.name),
            )
            .with_hint("Its columns have changed: drop the view and make it anew.")
            .into());
        }
    }
    let columns = plan.schema().iter().zip(wanted).map(|((qualifier, field), wanted)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        let same = field.data_type() == wanted.data_type();
        let column = if same { column } else { cast(column, wanted.data_type().clone()) };
        column.alias(wanted.name())
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}
