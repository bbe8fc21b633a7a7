//! Found files as a table to scan.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue, Statistics, project_schema};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::{
    Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, cast, ident, lit, when,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::future::try_join_all;

use super::find::Found;
use super::partitions::Partitions;

/// Files whose footers are read at once.
const READS_MAX: usize = 16;
/// Statistics of more files than that cost more than they bring.
const STATISTICS_FILES_MAX: usize = 1_000;

pub(super) struct FilesTable {
    format: Arc<dyn FileFormat>,
    found: Found,
    partitions: Partitions,
    schema: TableSchema,
}

impl FilesTable {
    pub fn new(
        format: Arc<dyn FileFormat>,
        found: Found,
        file_schema: SchemaRef,
        partitions: Partitions,
    ) -> FilesTable {
        let schema = TableSchema::builder(file_schema).with_table_partition_cols(partitions.fields.clone()).build();
        FilesTable { format, found, partitions, schema }
    }

    /// The same with other types for the files' columns, by casts above the scan. `null_text` is read as NULL.
    pub fn with_types(self, types: &Schema, null_text: Option<&str>) -> crate::error::Result<Arc<dyn TableProvider>> {
        let column = |field: &FieldRef| {
            let column = ident(field.name());
            let Ok(wanted) = types.field_with_name(field.name()) else { return Ok(column) };
            let value = match null_text {
                Some(text) => when(column.clone().not_eq(lit(text)), column).end()?,
                None if wanted.data_type() == field.data_type() => return Ok(column),
                None => column,
            };
            Ok(cast(value, wanted.data_type().clone()).alias(field.name()))
        };
        let columns = self.schema().fields().iter().map(column).collect::<Result<Vec<Expr>>>()?;
        let scan = LogicalPlanBuilder::scan("files", provider_as_source(Arc::new(self)), None)?;
        Ok(Arc::new(ViewTable::new(scan.project(columns)?.build()?, None)))
    }

    /// Files whose partition values pass the filters that name nothing else.
    fn remaining(&self, session: &dyn Session, filters: &[Expr]) -> Result<Vec<usize>> {
        let all: Vec<usize> = (0..self.found.files.len()).collect();
        let named = |expression: &Expr| {
            let columns = expression.column_refs();
            let partition = |name: &str| self.partitions.fields.iter().any(|field| field.name() == name);
            !columns.is_empty() && !expression.is_volatile() && columns.iter().all(|column| partition(&column.name))
        };
        let filters: Vec<&Expr> = filters.iter().filter(|filter| named(filter)).collect();
        if filters.is_empty() {
            return Ok(all);
        }
        let schema = Arc::new(Schema::new(Fields::from(self.partitions.fields.clone())));
        let columns = (0..self.partitions.fields.len()).map(|column| {
            ScalarValue::iter_to_array(self.partitions.values.iter().filter_map(|row| row.get(column).cloned()))
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(all.len()));
        let values = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
        let schema = DFSchema::try_from(schema)?;
        let mut passing = vec![true; all.len()];
        for filter in filters {
            // A filter that fails, fails for rows too, if there are any.
            let Ok(result) = session
                .create_physical_expr(filter.clone(), &schema)
                .and_then(|filter| filter.evaluate(&values))
                .and_then(|result| result.into_array(all.len()))
            else {
                continue;
            };
            let Some(result) = result.as_any().downcast_ref::<BooleanArray>() else { continue };
            for (index, passing) in passing.iter_mut().enumerate() {
                *passing &= result.is_valid(index) && result.value(index);
            }
        }
        Ok(all.into_iter().filter(|index| passing.get(*index).copied().unwrap_or(true)).collect())
    }

    async fn scanned_files(&self, session: &dyn Session, chosen: Vec<usize>) -> Result<Vec<PartitionedFile>> {
        let describe = chosen.len() <= STATISTICS_FILES_MAX;
        let mut files = Vec::with_capacity(chosen.len());
        for chunk in chosen.chunks(READS_MAX) {
            let described = chunk.iter().map(|index| self.scanned_file(session, *index, describe)).collect::<Vec<_>>();
            files.extend(try_join_all(described).await?.into_iter().flatten());
        }
        Ok(files)
    }

    async fn scanned_file(
        &self,
        session: &dyn Session,
        index: usize,
        describe: bool,
    ) -> Result<Option<PartitionedFile>> {
        let (Some(file), Some(values)) = (self.found.files.get(index), self.partitions.values.get(index)) else {
            return Ok(None);
        };
        let scanned = PartitionedFile::new_from_meta(file.object.clone()).with_partition_values(values.clone());
        if !describe {
            return Ok(Some(scanned));
        }
        let schema = Arc::clone(self.schema.file_schema());
        let statistics = self.format.infer_stats(session, &self.found.store, schema, &file.object).await?;
        Ok(Some(scanned.with_statistics(Arc::new(statistics))))
    }
}

impl fmt::Debug for FilesTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FilesTable").field("files", &self.found.files.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let chosen = self.remaining(session, filters)?;
        if chosen.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)));
        }
        let files = self.scanned_files(session, chosen).await?;
        let statistics = sum(&files, &self.schema());
        let groups = FileGroup::new(files).split_files(session.config().target_partitions());
        let source = self.format.file_source(self.schema.clone());
        let config = FileScanConfigBuilder::new(self.found.address.clone(), source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit.filter(|_| filters.is_empty()))
            .build();
        self.format.create_physical_plan(session, config).await
    }
}

/// Rows and bytes of all files; of the columns nothing is promised.
fn sum(files: &[PartitionedFile], schema: &SchemaRef) -> Statistics {
    let mut all = Statistics::new_unknown(schema);
    let mut files = files.iter().map(|file| file.statistics.as_ref());
    if let Some(Some(first)) = files.next() {
        let (mut rows, mut bytes) = (first.num_rows, first.total_byte_size);
        for file in files {
            let Some(file) = file else { return all };
            rows = rows.add(&file.num_rows);
            bytes = bytes.add(&file.total_byte_size);
        }
        all.num_rows = rows;
        all.total_byte_size = bytes;
    }
    all
}
