//! The operator: its input's rows in their order, with a column for each call.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use alluvia_inference::Kind;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::ColumnStatistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, future, stream};

use super::distinct::Deduplication;
use super::memo::Memo;
use super::node::Call;
use super::run::Caller;
use super::usage::{Meter, UsageLog};
use super::window::{Window, WindowRows, windows};
use crate::catalog::ModelEntry;
use crate::error::Error;
use crate::execution::StatementContext;
use crate::models::Models;

/// While one window is in the model, the next is read, reduced and tokenized.
const WINDOWS_IN_FLIGHT: usize = 2;

/// A call with its places in the input's schema.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub call: Call,
    pub entry: Arc<ModelEntry>,
    pub request: usize,
    pub guard: Option<usize>,
}

#[derive(Debug)]
pub(super) struct InferenceExec {
    input: Arc<dyn ExecutionPlan>,
    asked: Vec<Asked>,
    models: Arc<Models>,
    usage: Arc<UsageLog>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl InferenceExec {
    pub fn try_new(
        input: Arc<dyn ExecutionPlan>,
        asked: Vec<Asked>,
        models: Arc<Models>,
        usage: Arc<UsageLog>,
    ) -> Result<Self> {
        let below = input.schema();
        let outputs = asked.iter().map(|asked| Arc::clone(&asked.call.output));
        // Guards are never NULL. The logical plan knows it; physical expressions know it of fewer forms.
        let guards: HashSet<usize> = asked.iter().filter_map(|asked| asked.guard).collect();
        let passed = below.fields().iter().enumerate().map(|(index, field)| match guards.contains(&index) {
            true => Arc::new(field.as_ref().clone().with_nullable(false)),
            false => Arc::clone(field),
        });
        let fields: Vec<FieldRef> = passed.chain(outputs).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, below.metadata().clone()));
        // The input's columns keep their places, so that all that is known of them stays as it is. (A projection of
        // what is known loses orders by expressions of scalar subqueries.)
        let equivalences = EquivalenceProperties::new(schema).extend(input.equivalence_properties().clone())?;
        let properties = PlanProperties::new(
            equivalences,
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { input, asked, models, usage, properties: Arc::new(properties), metrics })
    }

    /// Text models decide the window when there is one: they have most to gain and most to waste.
    fn window_rows(&self) -> WindowRows {
        match self.asked.iter().all(|asked| asked.entry.spec.kind == Kind::Graph) {
            true => WindowRows::TABULAR,
            false => WindowRows::TEXT,
        }
    }
}

impl DisplayAs for InferenceExec {
    fn fmt_as(&self, _format: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: Vec<String> = self.asked.iter().map(|asked| asked.call.to_string()).collect();
        write!(formatter, "InferenceExec: {}", calls.join(", "))
    }
}

impl ExecutionPlan for InferenceExec {
    fn name(&self) -> &str {
        "InferenceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    /// More partitions mean more and smaller windows, and duplicates that don't meet; the model's scheduler uses all
    /// cores for one partition.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return Err(Error::internal("an inference operator has one input").into());
        };
        let (models, usage) = (Arc::clone(&self.models), Arc::clone(&self.usage));
        Ok(Arc::new(Self::try_new(input, self.asked.clone(), models, usage)?))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let Some(input) = inputs.first() else { return Ok(Arc::new(Statistics::new_unknown(&self.schema()))) };
        let mut statistics = input.as_ref().clone();
        statistics.column_statistics.extend(self.asked.iter().map(|_| ColumnStatistics::new_unknown()));
        statistics.total_byte_size = datafusion::common::stats::Precision::Absent;
        Ok(Arc::new(statistics))
    }

    /// What a parent learns while it runs (the bound of a top-k, the keys of a join's other side) reaches the scan.
    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let below = self.input.schema();
        let mut names: Vec<&str> = below.fields().iter().map(|field| field.name().as_str()).collect();
        names.sort_unstable();
        // DataFusion finds a filter's columns in the child by their names alone.
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Ok(FilterDescription::all_unsupported(&parent_filters, &self.children()));
        }
        let passed = (0..below.fields().len()).collect();
        let child = ChildFilterDescription::from_child_with_allowed_indices(&parent_filters, passed, &self.input)?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let reservation = MemoryConsumer::new(format!("InferenceExec[{partition}]")).register(context.memory_pool());
        let opening = Opening {
            asked: self.asked.clone(),
            models: Arc::clone(&self.models),
            usage: Arc::clone(&self.usage),
            metrics: self.metrics.clone(),
            reservation: reservation.new_empty(),
            partition,
            owner: context.session_config().get_extension::<StatementContext>(),
        };
        let (schema, rows) = (self.schema(), self.window_rows());
        let output = Arc::clone(&schema);
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let batches = stream::once(async move {
            let callers: Arc<[Caller]> = opening.callers().await?.into();
            let answered = windows(input, rows, reservation).map(move |window| {
                let (callers, output) = (Arc::clone(&callers), Arc::clone(&output));
                async move { answer(window?, &callers, output).await }
            });
            Ok::<_, DataFusionError>(answered.buffered(WINDOWS_IN_FLIGHT).try_flatten())
        });
        let batches = batches.try_flatten().map(move |batch: Result<RecordBatch>| batch.record_output(&baseline));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// What it takes to load a partition's models, once its stream is first read.
struct Opening {
    asked: Vec<Asked>,
    models: Arc<Models>,
    usage: Arc<UsageLog>,
    metrics: ExecutionPlanMetricsSet,
    reservation: MemoryReservation,
    partition: usize,
    owner: Option<Arc<StatementContext>>,
}

impl Opening {
    async fn callers(self) -> Result<Vec<Caller>> {
        let owner = self.owner.map_or((0, String::new()), |owner| (owner.query_id, owner.user.clone()));
        let mut callers = vec![];
        for asked in self.asked {
            let model = self.models.open(&asked.entry).await?;
            let named = (asked.entry.name.as_str(), model.as_ref());
            let meter = Meter::new(Arc::clone(&self.usage), &self.metrics, self.partition, owner.clone(), named);
            let deduplication = match model.spec().kind {
                Kind::Graph => Deduplication::while_useful(),
                Kind::Encoder | Kind::Classifier => Deduplication::always(),
            };
            // A failure may pass, and is not to be remembered.
            let remembers = model.spec().kind != Kind::Graph && asked.call.fail_on_error;
            let memo = remembers.then(|| Memo::new(Memo::BYTES_MAX, self.reservation.new_empty()));
            callers.push(Caller { asked, model, deduplication, memo, meter });
        }
        Ok(callers)
    }
}

/// A window's batches with their answers. Memory stays reserved until the last of them is read.
async fn answer(
    window: Window,
    callers: &[Caller],
    schema: SchemaRef,
) -> Result<impl futures::Stream<Item = Result<RecordBatch>> + use<>> {
    let Window { batches, reservation } = window;
    let answers = callers.iter().map(|caller| caller_answer(caller, &batches, &reservation));
    let answers = future::try_join_all(answers).await?;
    let mut first = 0;
    let mut outputs = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut columns = batch.columns().to_vec();
        columns.extend(answers.iter().map(|answer| answer.slice(first, batch.num_rows())));
        first += batch.num_rows();
        outputs.push(RecordBatch::try_new(Arc::clone(&schema), columns));
    }
    let held: MemoryReservation = reservation;
    Ok(stream::iter(outputs).map(move |batch| {
        let _held = &held;
        Ok(batch?)
    }))
}

async fn caller_answer(caller: &Caller, batches: &[RecordBatch], reservation: &MemoryReservation) -> Result<ArrayRef> {
    let request = column(batches, caller.asked.request)?;
    let guard = caller.asked.guard.map(|guard| column(batches, guard)).transpose()?;
    let guard = guard.and_then(|guard| guard.as_boolean_opt().cloned());
    caller.answer(request, guard, reservation).await
}

/// One column of all batches of a window.
fn column(batches: &[RecordBatch], index: usize) -> Result<ArrayRef> {
    match batches {
        [only] => Ok(Arc::clone(only.column(index))),
        several => {
            let parts: Vec<&dyn Array> = several.iter().map(|batch| batch.column(index).as_ref()).collect();
            Ok(concat(&parts)?)
        }
    }
}
