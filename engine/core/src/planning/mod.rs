//! The state that plans a statement: functions, rules, catalogs, settings.

mod field_access;
mod functions;
mod overlay;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::catalog::Session as DataFusionSession;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use parking_lot::Mutex;

use crate::catalog::{DEFAULT_SCHEMA, LakeCatalog};
use crate::engine::Engine;
use crate::error::Result;
use crate::settings::Settings;
use crate::system::SystemTables;

pub(crate) use overlay::Overlay;
use overlay::OverlayCatalogs;

/// The one database there is.
pub(crate) const CATALOG: &str = "alluvia";

/// Who a session is; `current_user` and the like answer with it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub user: String,
    pub process_id: i32,
}

/// The state that a session's statements start from.
pub(crate) fn session_state(
    engine: &Arc<Engine>,
    overlay: &Arc<Overlay>,
    settings: &Arc<Mutex<Settings>>,
    identity: &Identity,
) -> Result<SessionState> {
    let system = SystemTables::new(Arc::clone(&engine.catalog), Arc::clone(&engine.models), Arc::clone(&engine.usage));
    let extension_planners =
        vec![crate::inference::extension_planner(Arc::clone(&engine.models), Arc::clone(&engine.usage))];
    let mut builder = SessionStateBuilder::new()
        .with_config(config())
        .with_runtime_env(Arc::clone(&engine.runtime_env))
        .with_default_features()
        .with_optimizer_rules(crate::inference::optimizer_rules(Arc::clone(&engine.models)))
        .with_query_planner(Arc::new(Planner { extension_planners }));
    // Before DataFusion's own, which know field names only as they are spelled.
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(field_access::FieldsWithoutCase));
    let mut state = builder.build();
    let lake =
        LakeCatalog::new(Arc::clone(&engine.catalog), engine.lake.clone(), system, Arc::clone(&engine.runtime_env));
    state.register_catalog_list(Arc::new(OverlayCatalogs::new(CATALOG, Arc::new(lake), Arc::clone(overlay))));
    state.add_analyzer_rule(crate::inference::analyzer_rule(Arc::clone(&engine.models)));
    for function in alluvia_udfs::functions(Arc::clone(&engine.models) as Arc<dyn alluvia_udfs::ModelPort>) {
        state.register_udf(Arc::new(function))?;
    }
    for function in functions::session_functions(identity, settings, &engine.catalog) {
        state.register_udf(Arc::new(function))?;
    }
    Ok(state)
}

/// Brings a session's settings into a statement's configuration.
pub(crate) fn apply_settings(state: &mut SessionState, settings: &Settings, engine: &Engine) {
    let schema = default_schema(settings, engine);
    let number = |name: &str| settings.value(name).and_then(|value| value.parse::<usize>().ok());
    let options = state.config_mut().options_mut();
    options.catalog.default_schema = schema;
    options.execution.time_zone = settings.value("TimeZone");
    let partitions = number("target_partitions").filter(|partitions| *partitions > 0).or(engine.config.target_partitions);
    if let Some(partitions) = partitions {
        options.execution.target_partitions = partitions;
    }
    if let Some(Ok(rows)) = number("batch_size").map(ConfigNonZeroUsize::try_new) {
        options.execution.batch_size = rows;
    }
}

/// The first schema of the search path that exists.
pub(crate) fn default_schema(settings: &Settings, engine: &Engine) -> String {
    let snapshot = engine.catalog.snapshot();
    let path = settings.value("search_path").unwrap_or_default();
    path.split(',')
        .map(|name| name.trim().trim_matches('"'))
        .find(|name| snapshot.schemas.contains_key(*name))
        .unwrap_or(DEFAULT_SCHEMA)
        .to_string()
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(false)
        // `LakeCatalog` serves its own, which outlives a table whose files are gone.
        .with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
    // Delta stores plain strings, and a cast to and fro per statement buys nothing.
    options.sql_parser.map_string_types_to_utf8view = false;
    config
}

/// DataFusion's physical planner with the nodes of `lake` and `inference`.
struct Planner {
    extension_planners: Vec<Arc<dyn ExtensionPlanner + Send + Sync>>,
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Planner").finish_non_exhaustive()
    }
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn DataFusionSession,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(self.extension_planners.clone());
        planner.create_physical_plan(plan, session).await
    }
}
