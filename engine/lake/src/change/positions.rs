//! A version's rows with their places, the same in every scan of the version: so a statement finds rows in one pass
//! and changes them in another, without asking its condition twice.
//!
//! A place is a file and how many rows of it, deleted ones left out, come before. Files are therefore read whole, each
//! by one task and in order; filters only choose among them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext, FileSelection};
use futures::StreamExt;

use crate::scan::select;
use crate::snapshot::Snapshot;

/// The column with the number of a row's file, an `Int32`: its place in [`Snapshot::files`].
pub const FILE: &str = "__alluvia_file";
/// The column with a row's place in its file, a `UInt64`.
pub const ROW: &str = "__alluvia_row";
/// The library's column of file addresses.
const ADDRESS: &str = "__alluvia_address";

impl Snapshot {
    /// The rows, of some files or all, with [`FILE`] and [`ROW`] behind the table's columns. Text is plain `Utf8`.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when a file is asked for that this version doesn't have.
    pub fn positions(
        &self,
        session: &SessionState,
        files: Option<BTreeSet<String>>,
    ) -> crate::Result<Arc<dyn TableProvider>> {
        let list = self.file_list()?;
        let numbers: HashMap<String, i32> = self.files().map(|file| file.path).zip(0i32..).collect();
        let addresses = list.by_address(self.location())?;
        let numbers = addresses.into_iter().filter_map(|(address, path)| Some((address, *numbers.get(&path)?)));
        let added = [Field::new(FILE, DataType::Int32, false), Field::new(ROW, DataType::UInt64, false)];
        let fields: Vec<_> = self.schema().fields().iter().cloned().chain(added.map(Arc::new)).collect();
        Ok(Arc::new(Positions {
            snapshot: self.clone(),
            schema: Arc::new(Schema::new(fields)),
            numbers: Arc::new(numbers.collect()),
            files,
            config: self.plain_scan_config(session)?,
        }))
    }
}

#[derive(Debug)]
struct Positions {
    snapshot: Snapshot,
    schema: SchemaRef,
    /// Each file's address to its number.
    numbers: Arc<HashMap<String, i32>>,
    files: Option<BTreeSet<String>>,
    config: DeltaScanConfig,
}

#[async_trait]
impl TableProvider for Positions {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let config = self.config.clone().with_file_column_name(ADDRESS);
        let mut provider = DeltaScanNext::new(self.snapshot.state_ref(), config)?;
        if let Some(files) = self.chosen(state, filters)? {
            let encoded = self.snapshot.file_list()?.encoded(&files)?;
            provider = provider.with_file_selection(FileSelection::from_file_paths(encoded));
        }
        let width = self.snapshot.schema().fields().len();
        let all = (0..self.schema.fields().len()).collect::<Vec<_>>();
        let wanted = projection.unwrap_or(&all);
        let asked: Vec<usize> = wanted.iter().copied().filter(|column| *column < width).chain([width]).collect();
        let inner = provider.scan(state, Some(&asked), &[], None).await?;
        let mut next = 0;
        let sources = wanted.iter().map(|column| match column.checked_sub(width) {
            None => {
                next += 1;
                Source::Input(next - 1)
            }
            Some(0) => Source::File,
            Some(_) => Source::Row,
        });
        let sources: Vec<Source> = sources.collect();
        let schema = Arc::new(self.schema.project(wanted)?);
        Ok(Arc::new(PositionsExec::new(inner, schema, sources, self.numbers.clone())))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

impl Positions {
    /// The files that may hold rows for which the filters are true; none where all may.
    fn chosen(&self, state: &dyn Session, filters: &[Expr]) -> Result<Option<BTreeSet<String>>> {
        let places = [FILE, ROW];
        let of_table = |filter: &&Expr| {
            let columns = filter.column_refs();
            !columns.is_empty() && columns.iter().all(|column| !places.contains(&column.name.as_str()))
        };
        let filters: Vec<Expr> = filters.iter().filter(of_table).cloned().collect();
        // The log has statistics under the names of the files.
        if filters.is_empty() || self.snapshot.demands().mapped.is_some() {
            return Ok(self.files.clone());
        }
        let list = self.snapshot.file_list()?;
        let candidates = match &self.files {
            Some(files) => list.positions(files)?,
            None => (0..list.len()).collect(),
        };
        let columns = self.snapshot.partition_columns();
        let (kept, _) = select(list, candidates, &self.snapshot.schema(), columns, &filters, state)?;
        Ok(Some(kept.into_iter().map(|file| list.path(file).to_owned()).collect()))
    }
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// A column of the input.
    Input(usize),
    File,
    Row,
}

/// Counts the rows of each file. A leaf to the optimizer, which would cut files in pieces.
#[derive(Debug)]
struct PositionsExec {
    /// Its last column is the file's address.
    inner: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    sources: Vec<Source>,
    numbers: Arc<HashMap<String, i32>>,
    properties: Arc<PlanProperties>,
}

impl PositionsExec {
    fn new(
        inner: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
        sources: Vec<Source>,
        numbers: Arc<HashMap<String, i32>>,
    ) -> PositionsExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(inner.output_partitioning().partition_count()),
            inner.pipeline_behavior(),
            inner.boundedness(),
        );
        PositionsExec { inner, schema, sources, numbers, properties: Arc::new(properties) }
    }
}

impl DisplayAs for PositionsExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PositionsExec")
    }
}

impl ExecutionPlan for PositionsExec {
    fn name(&self) -> &str {
        "PositionsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (schema, sources, numbers) = (self.schema.clone(), self.sources.clone(), self.numbers.clone());
        let mut seen: HashMap<i32, u64> = HashMap::new();
        let input = self.inner.execute(partition, context)?;
        let placed = input.map(move |batch| place(&batch?, &schema, &sources, &numbers, &mut seen));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), placed)))
    }
}

/// A batch with its rows' places. `seen`: how many rows of each file have come.
fn place(
    batch: &RecordBatch,
    schema: &SchemaRef,
    sources: &[Source],
    numbers: &HashMap<String, i32>,
    seen: &mut HashMap<i32, u64>,
) -> Result<RecordBatch> {
    let internal = |message: &str| DataFusionError::Internal(message.to_owned());
    let addresses = batch.columns().last().ok_or_else(|| internal("a scan without addresses"))?;
    let addresses = cast(addresses, &DataType::Utf8)?;
    let addresses = addresses.as_string::<i32>();
    let (mut files, mut rows) = (Vec::with_capacity(batch.num_rows()), Vec::with_capacity(batch.num_rows()));
    let mut current: Option<(&str, i32)> = None;
    for address in addresses {
        let address = address.ok_or_else(|| internal("a row comes from no file"))?;
        let file = match current {
            Some((known, file)) if known == address => file,
            _ => *numbers.get(address).ok_or_else(|| internal("a row comes from no file of the log"))?,
        };
        current = Some((address, file));
        let row = seen.entry(file).or_default();
        files.push(file);
        rows.push(*row);
        *row += 1;
    }
    let files: ArrayRef = Arc::new(Int32Array::from(files));
    let rows: ArrayRef = Arc::new(UInt64Array::from(rows));
    let columns = sources.iter().zip(schema.fields()).map(|(source, field)| match source {
        Source::Input(index) => {
            let column = batch.columns().get(*index).ok_or_else(|| internal("a scan lacks a column"))?;
            Ok(cast(column, field.data_type())?)
        }
        Source::File => Ok(files.clone()),
        Source::Row => Ok(rows.clone()),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_>>()?, &options)?)
}
