//! The Delta library's provider as queries scan it, with one of its answers corrected and columns of our own.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{ScanArgs, ScanResult, Session, TableProvider};
use datafusion::common::{Constraints, Statistics};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TableProviderFilterPushDown, TableType, Volatility,
};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::ProjectionExec;

use super::RowScan;
use super::numbered::NumberedExec;

/// What the paths of a batch take in memory, at a guess.
const PATH_BYTES: usize = 64;

/// The inner provider claims to apply a filter that names no column exactly, as if it were one on partitions alone,
/// and then drops it: `x <> 1 AND NULL`, which `x NOT IN (1, NULL)` becomes, would keep rows.
#[derive(Debug)]
pub(crate) struct Scanned {
    inner: Arc<dyn TableProvider>,
}

impl Scanned {
    pub fn new(inner: Arc<dyn TableProvider>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl TableProvider for Scanned {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn constraints(&self) -> Option<&Constraints> {
        self.inner.constraints()
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn get_logical_plan(&self) -> Option<std::borrow::Cow<'_, LogicalPlan>> {
        self.inner.get_logical_plan()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.scan(state, projection, filters, limit).await
    }

    async fn scan_with_args<'a>(&self, state: &dyn Session, args: ScanArgs<'a>) -> Result<ScanResult> {
        self.inner.scan_with_args(state, args).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let mut support = self.inner.supports_filters_pushdown(filters)?;
        for (support, filter) in support.iter_mut().zip(filters) {
            if filter.column_refs().is_empty() {
                *support = TableProviderFilterPushDown::Unsupported;
            }
        }
        Ok(support)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.inner.statistics()
    }
}

/// The library's provider for a [`RowScan`]: its column of file addresses becomes one of log paths, and rows are
/// numbered.
#[derive(Debug)]
pub(crate) struct ScannedRows {
    inner: Scanned,
    /// The table's columns, then those that the scan adds.
    schema: SchemaRef,
    table_columns: usize,
    scan: RowScan,
    path_of: Arc<ScalarUDF>,
}

impl ScannedRows {
    /// `inner` has the table's columns, then the library's column of addresses where `scan` names a file column.
    /// `paths`: each file's address to its path.
    pub fn new(inner: Scanned, paths: HashMap<String, String>, scan: RowScan) -> ScannedRows {
        let columns = inner.schema();
        let table_columns = columns.fields().len().saturating_sub(usize::from(scan.file_column.is_some()));
        let of_table = columns.fields().iter().take(table_columns).cloned();
        let schema = Arc::new(Schema::new(of_table.chain(scan.added_fields()).collect::<Vec<FieldRef>>()));
        let path_of = Arc::new(ScalarUDF::from(LogPath::new(paths)));
        ScannedRows { inner, schema, table_columns, scan, path_of }
    }
}

#[async_trait]
impl TableProvider for ScannedRows {
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
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = (0..self.schema.fields().len()).collect::<Vec<_>>();
        let wanted = projection.unwrap_or(&all);
        if self.scan.files.as_ref().is_some_and(BTreeSet::is_empty) {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(wanted)?))));
        }
        let last = self.scan.row_column.as_ref().map(|_| self.schema.fields().len() - 1);
        // The library's provider has no column of numbers.
        let asked = wanted.iter().copied().filter(|column| Some(*column) != last).collect::<Vec<_>>();
        let mut plan = self.inner.scan(state, Some(&asked), filters, limit).await?;
        if let (Some(name), true) = (&self.scan.row_column, wanted.iter().any(|column| Some(*column) == last)) {
            plan = Arc::new(NumberedExec::new(plan, name));
        }
        let mut expressions = Vec::with_capacity(wanted.len());
        for column in wanted {
            let field = self.schema.field(*column);
            let mut expression: Arc<dyn PhysicalExpr> =
                Arc::new(Column::new_with_schema(field.name(), &plan.schema())?);
            if *column >= self.table_columns && Some(*column) != last {
                let options = Arc::new(state.config_options().clone());
                let arguments = vec![expression];
                expression =
                    Arc::new(ScalarFunctionExpr::try_new(self.path_of.clone(), arguments, &plan.schema(), options)?);
            }
            expressions.push(ProjectionExpr::new(expression, field.name()));
        }
        Ok(Arc::new(ProjectionExec::try_new(expressions, plan)?))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let mut support = self.inner.supports_filters_pushdown(filters)?;
        for (support, filter) in support.iter_mut().zip(filters) {
            if filter.column_refs().iter().any(|column| self.scan.adds(column.name())) {
                *support = TableProviderFilterPushDown::Unsupported;
            }
        }
        Ok(support)
    }
}

/// From a file's address to its path in the log.
struct LogPath {
    paths: HashMap<String, String>,
    signature: Signature,
}

impl LogPath {
    fn new(paths: HashMap<String, String>) -> LogPath {
        LogPath { paths, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl fmt::Debug for LogPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LogPath").field("files", &self.paths.len()).finish_non_exhaustive()
    }
}

impl PartialEq for LogPath {
    fn eq(&self, other: &Self) -> bool {
        self.paths == other.paths
    }
}

impl Eq for LogPath {}

impl Hash for LogPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.paths.len().hash(state);
    }
}

impl ScalarUDFImpl for LogPath {
    fn name(&self) -> &str {
        "log_path"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, false)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let addresses = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(addresses) = addresses.first() else {
            return Err(DataFusionError::Internal("log_path has one argument".into()));
        };
        let addresses = cast(addresses, &DataType::Utf8)?;
        let mut paths = StringBuilder::with_capacity(addresses.len(), addresses.len() * PATH_BYTES);
        for address in addresses.as_string::<i32>() {
            let path = address.and_then(|address| self.paths.get(address));
            let path = path.ok_or_else(|| DataFusionError::Internal("a row comes from no file of the log".into()))?;
            paths.append_value(path);
        }
        Ok(ColumnarValue::Array(Arc::new(paths.finish())))
    }
}
