//! The state that plans a statement: functions, rules, catalogs, settings.

mod apart;
pub(crate) mod attached;
pub(crate) mod constants;
mod cooperative;
mod counts;
mod dates;
mod field_access;
mod functions;
mod given;
mod order;
mod overlay;
mod pinned;
mod postgres;
mod pushdown;
mod sources;
mod temporary;
pub(crate) mod trees;
pub(crate) mod versions;
mod views;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session as DataFusionSession;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::functions_nested::remove::array_remove_all_udf;
use datafusion::functions_nested::replace::array_replace_all_udf;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use parking_lot::Mutex;

use crate::catalog::{CatalogSnapshot, DEFAULT_SCHEMA, LakeCatalog};
use crate::engine::Engine;
use crate::error::Result;
use crate::settings::Settings;
use crate::system::SystemTables;

pub(crate) use apart::apart;
pub(crate) use given::{given_name, with_given};
pub(crate) use overlay::{Mode, Overlay, OverlayCatalogs, without_path};
pub(crate) use pinned::overlaid;
pub(crate) use postgres::{assigned, demanded};
pub(crate) use sources::{Recorder, Sources};
pub(crate) use temporary::{TEMPORARY_SCHEMA, Temporary, TemporaryRelation};
pub(crate) use views::plan as plan_view;

/// The one database there is.
pub(crate) const CATALOG: &str = "alluvia";

/// Who a session is; `current_user` and the like answer with it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub user: String,
    pub process_id: i32,
}

/// What names stand for in a session.
pub(crate) fn sources(
    engine: &Arc<Engine>,
    overlay: &Arc<Overlay>,
    temporary: &Arc<Temporary>,
    settings: &Arc<Mutex<Settings>>,
) -> Arc<Sources> {
    let system = SystemTables::new(Arc::clone(&engine.catalog), Arc::clone(&engine.models), Arc::clone(&engine.usage));
    let lake =
        LakeCatalog::new(Arc::clone(&engine.catalog), engine.lake.clone(), system, Arc::clone(&engine.runtime_env));
    Arc::new(Sources {
        engine: Arc::clone(engine),
        lake: Arc::new(lake),
        overlay: Arc::clone(overlay),
        temporary: Arc::clone(temporary),
        settings: Arc::clone(settings),
        planner: std::sync::OnceLock::new(),
    })
}

/// A state that writes down what the queries are made of that it plans.
pub(crate) fn recording(state: &SessionState, sources: &Arc<Sources>) -> (SessionState, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let mut state = state.clone();
    let schema = &mut state.config_mut().options_mut().catalog.default_schema;
    *schema = overlay::path_of_bare_names(schema);
    let mode = Mode::Recording(Arc::clone(&recorder));
    state.register_catalog_list(Arc::new(OverlayCatalogs::new(Arc::clone(sources), mode)));
    (state, recorder)
}

/// The state that a session's statements start from.
pub(crate) fn session_state(sources: &Arc<Sources>, identity: &Identity) -> Result<SessionState> {
    let (engine, settings) = (&sources.engine, &sources.settings);
    let extension_planners =
        vec![crate::inference::extension_planner(Arc::clone(&engine.models), Arc::clone(&engine.usage))];
    let mut rules = apart::interruptible(crate::inference::optimizer_rules(Arc::clone(&engine.models)));
    rules.push(Arc::new(dates::DatesAsDates));
    let mut builder = SessionStateBuilder::new()
        .with_config(config())
        .with_runtime_env(Arc::clone(&engine.runtime_env))
        .with_default_features()
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rules(physical_rules())
        .with_physical_optimizer_rule(Arc::new(cooperative::PausingJoins))
        .with_query_planner(Arc::new(Planner { extension_planners }));
    // Before DataFusion's own, which know field names only as they are spelled.
    let planners = builder.expr_planners().get_or_insert_default();
    planners.insert(0, Arc::new(field_access::FieldsWithoutCase));
    planners.insert(0, Arc::new(postgres::Operators));
    let builder = builder.with_type_planner(Arc::new(postgres::Types::new(Arc::clone(settings))));
    let mut state = builder.build();
    state.register_function_rewrite(Arc::new(postgres::ArraysAsText))?;
    state.add_analyzer_rule(Arc::new(postgres::PostgresMeaning));
    state.add_analyzer_rule(crate::inference::analyzer_rule(Arc::clone(&engine.models)));
    for function in alluvia_udfs::functions(Arc::clone(&engine.models) as Arc<dyn alluvia_udfs::ModelPort>) {
        state.register_udf(Arc::new(function))?;
    }
    counts::register(&mut state)?;
    for function in functions::session_functions(identity, settings, &engine.catalog) {
        state.register_udf(Arc::new(function))?;
    }
    state.register_udf(Arc::new(postgres::timezone()))?;
    state.register_udaf(Arc::new(postgres::checked_sum()))?;
    for extreme in postgres::extremes() {
        state.register_udaf(Arc::new(extreme))?;
    }
    // PostgreSQL's take every such element, where the planner's functions of these names take the first.
    state.register_udf(Arc::new(array_remove_all_udf().as_ref().clone().with_aliases(["array_remove"])))?;
    state.register_udf(Arc::new(array_replace_all_udf().as_ref().clone().with_aliases(["array_replace"])))?;
    // A second session state for the same sources would plan views just as well.
    let _ = sources.planner.set(state.clone());
    state.register_catalog_list(Arc::new(OverlayCatalogs::new(Arc::clone(sources), Mode::Statement)));
    Ok(state)
}

/// Brings a session's settings into a statement's configuration.
pub(crate) fn apply_settings(state: &mut SessionState, settings: &Settings, engine: &Engine, temporary: &Temporary) {
    let mut path = search_path(settings, engine);
    if !temporary.is_empty() {
        path.insert(0, TEMPORARY_SCHEMA.to_owned());
    }
    let schema = overlay::name_of_path(&path);
    let number = |name: &str| settings.value(name).and_then(|value| value.parse::<usize>().ok());
    let options = state.config_mut().options_mut();
    options.catalog.default_schema = schema;
    options.execution.time_zone = settings.value("TimeZone");
    let options = Arc::clone(state.config_options());
    // `now()` is a moment of the session's zone, which it learns only here.
    let now = state.scalar_functions().get("now").and_then(|now| now.inner().with_updated_config(&options));
    if let Some(now) = now {
        // The name is taken by the function that it replaces.
        let _ = state.register_udf(Arc::new(now));
    }
    let options = state.config_mut().options_mut();
    let partitions =
        number("target_partitions").filter(|partitions| *partitions > 0).or(engine.config.target_partitions);
    if let Some(partitions) = partitions {
        options.execution.target_partitions = partitions;
    }
    if let Some(Ok(rows)) = number("batch_size").map(ConfigNonZeroUsize::try_new) {
        options.execution.batch_size = rows;
    }
}

/// The first schema of the search path that exists: where a bare name is made.
pub(crate) fn default_schema(settings: &Settings, engine: &Engine) -> String {
    search_path(settings, engine).into_iter().next().unwrap_or_else(|| DEFAULT_SCHEMA.to_string())
}

/// The schemas in which a bare name is looked up, in their order.
pub(crate) fn search_path(settings: &Settings, engine: &Engine) -> Vec<String> {
    path_schemas(&settings.value("search_path").unwrap_or_default(), &engine.catalog.snapshot())
}

fn path_schemas(path: &str, snapshot: &CatalogSnapshot) -> Vec<String> {
    let mut found: Vec<String> = vec![];
    for name in path.split(',').map(|name| name.trim().trim_matches('"')) {
        if snapshot.schemas.contains_key(name) && found.iter().all(|known| known != name) {
            found.push(name.to_string());
        }
    }
    found
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(false)
        // `LakeCatalog` serves its own, which outlives a table whose files are gone.
        .with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
    // The logical `x IS TRUE` is never NULL, the physical one may be for all the planner knows, and an aggregate over it
    // would be refused as a bug.
    options.execution.skip_physical_aggregate_schema_check = true;
    // `0.1` is a number as it is written, not the nearest binary fraction.
    options.sql_parser.parse_float_as_decimal = true;
    // Delta stores plain strings, and a cast to and fro per statement buys nothing.
    options.sql_parser.map_string_types_to_utf8view = false;
    config
}

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// DataFusion's physical rules, and what keeps two of them from changing a result.
fn physical_rules() -> Vec<Rule> {
    const DEALS_ROWS_OUT: &str = "EnsureRequirements";
    let mut rules: Vec<Rule> = PhysicalOptimizer::new().rules.into_iter().map(pushdown::guarded).collect();
    let place = rules.iter().position(|rule| rule.name() == DEALS_ROWS_OUT).map_or(rules.len(), |place| place + 1);
    rules.insert(place, Arc::new(order::KeptOrder));
    rules
}

/// DataFusion's physical planner with the nodes of `inference`.
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
