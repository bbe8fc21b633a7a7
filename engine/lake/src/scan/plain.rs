//! Scans of tables whose files hold the rows as they are: no deletion vectors, no column mapping, no structs. Their
//! Parquet files are read by DataFusion's own scan, which prunes row groups and pages and takes filters that only
//! come up while a statement runs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, ScalarValue, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use deltalake::Path;
use url::Position;

use super::numbered::NumberedExec;
use super::source::DeltaSource;
use super::statistics::FileStatistics;
use super::{FileList, RowScan, pruning};
use crate::snapshot::Snapshot;

/// Dates of foreign writers' 96-bit timestamps beyond what nanoseconds hold.
const INT96_UNIT: &str = "us";

#[derive(Debug)]
pub(crate) struct Plain {
    snapshot: Snapshot,
    /// The table's columns, then those that the scan adds.
    schema: SchemaRef,
    /// The columns in the order of a file scan: those of the files, those of partitions, the file's path.
    read: TableSchema,
    /// For each column of `schema`, its position in `read`; none for the row's number.
    positions: Vec<Option<usize>>,
    scan: RowScan,
}

impl Plain {
    /// `columns`: the table's, with the types that a scan gives them. `None` when the table isn't plain.
    pub fn of(snapshot: &Snapshot, columns: &SchemaRef, scan: RowScan) -> crate::Result<Option<Plain>> {
        let files = snapshot.file_list()?;
        let nested = columns.fields().iter().any(|field| !readable(field.data_type()));
        if nested || files.has_deletions() || snapshot.demands().mapped.is_some() {
            return Ok(None);
        }
        if files.locations(snapshot.location()).is_none() {
            return Ok(None);
        }
        let partitioned = |field: &FieldRef| snapshot.partition_columns().contains(field.name());
        let in_files: Vec<FieldRef> = columns.fields().iter().filter(|field| !partitioned(field)).cloned().collect();
        let mut constant: Vec<FieldRef> = Vec::new();
        for name in snapshot.partition_columns() {
            let Ok(position) = columns.index_of(name) else { return Ok(None) };
            constant.extend(columns.fields().get(position).cloned());
        }
        let added: Vec<FieldRef> = scan.added_fields().collect();
        constant.extend(added.iter().filter(|field| Some(field.name()) == scan.file_column.as_ref()).cloned());
        let read = TableSchema::builder(Arc::new(Schema::new(in_files))).with_table_partition_cols(constant).build();
        let fields: Vec<FieldRef> = columns.fields().iter().cloned().chain(added).collect();
        let positions = fields.iter().map(|field| read.table_schema().index_of(field.name()).ok()).collect();
        let schema = Arc::new(Schema::new(fields));
        Ok(Some(Plain { snapshot: snapshot.clone(), schema, read, positions, scan }))
    }

    fn candidates(&self, files: &FileList) -> crate::Result<Vec<usize>> {
        match &self.scan.files {
            Some(wanted) => files.positions(wanted),
            None => Ok((0..files.len()).collect()),
        }
    }

    fn partitioned_file(
        &self,
        files: &FileList,
        file: usize,
        location: &Path,
        statistics: Arc<Statistics>,
    ) -> Result<PartitionedFile> {
        let mut values = Vec::with_capacity(self.read.table_partition_cols().len());
        for field in self.read.table_partition_cols() {
            let value = match files.partition_values(field.name()) {
                Some(partition) => ScalarValue::try_from_array(partition, file)?.cast_to(field.data_type())?,
                None => ScalarValue::Utf8(Some(files.path(file).to_owned())),
            };
            values.push(value);
        }
        let mut partitioned = PartitionedFile::new("", files.bytes(file)).with_partition_values(values);
        partitioned.object_meta.location = location.clone();
        // Part of what tells cached footers apart.
        partitioned.object_meta.last_modified += Duration::from_millis(files.modified_ms(file).unsigned_abs());
        // Not by `with_statistics`, which takes partition values to be never NULL.
        partitioned.statistics = Some(statistics);
        Ok(partitioned)
    }
}

#[async_trait]
impl TableProvider for Plain {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.snapshot.file_list().map_err(external)?;
        let candidates = self.candidates(files).map_err(external)?;
        let partitions = self.snapshot.partition_columns();
        let (kept, pruned) = pruning::select(files, candidates, &self.schema, partitions, filters, session)?;
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let read: Vec<usize> =
            wanted.iter().filter_map(|column| self.positions.get(*column).copied().flatten()).collect();

        let names: HashSet<&str> = wanted
            .iter()
            .filter_map(|column| self.schema.fields().get(*column))
            .map(|field| field.name().as_str())
            .chain(filters.iter().flat_map(Expr::column_refs).map(|column| column.name.as_str()))
            .collect();
        let partitions_from = self.read.file_schema().fields().len();
        let by_file =
            FileStatistics::new(files, self.read.table_schema(), partitions_from, |name| names.contains(name));
        let locations = files.locations(self.snapshot.location()).unwrap_or_default();
        let mut statistics = Vec::with_capacity(kept.len());
        let mut partitioned = Vec::with_capacity(kept.len());
        for file in kept {
            let Some(location) = locations.get(file) else {
                return Err(DataFusionError::Internal("a file of the log has no place".into()));
            };
            let of_file = Arc::new(by_file.of(file)?);
            partitioned.push(self.partitioned_file(files, file, location, of_file.clone())?);
            statistics.push(of_file);
        }
        let whole = match statistics.is_empty() {
            true => Statistics::new_unknown(self.read.table_schema())
                .with_num_rows(datafusion::common::stats::Precision::Exact(0)),
            false => Statistics::try_merge_iter(statistics.iter().map(AsRef::as_ref), self.read.table_schema())?,
        };

        let log_store = self.snapshot.log_store();
        let mut options =
            TableParquetOptions { global: session.config_options().execution.parquet.clone(), ..Default::default() };
        options.global.coerce_int96 = Some(INT96_UNIT.to_owned());
        let cache = session.runtime_env().cache_manager.get_file_metadata_cache();
        let reader = CachedParquetFileReaderFactory::new(log_store.root_object_store(None), cache);
        let source = ParquetSource::new(self.read.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(reader));
        let store = &self.snapshot.location()[Position::BeforeScheme..Position::BeforePath];
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(store)?, Arc::new(source))
            .with_file_groups(grouped(partitioned, session.config().target_partitions()))
            .with_statistics(whole)
            .with_projection_indices(Some(read))?
            .with_limit(limit)
            .build();
        let mut plan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(DeltaSource::new(config, pruned));
        let numbered = wanted.last().is_some_and(|column| self.positions.get(*column) == Some(&None));
        if let (Some(name), true) = (&self.scan.row_column, numbered) {
            plan = Arc::new(NumberedExec::new(plan, name));
        }
        Ok(plan)
    }

    /// A filter is reason enough to leave out files, row groups and pages, and not more.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = filters.iter().map(|filter| {
            let columns = filter.column_refs();
            let ours = columns.iter().any(|column| self.scan.adds(column.name()));
            match columns.is_empty() || ours || filter.is_volatile() {
                true => TableProviderFilterPushDown::Unsupported,
                false => TableProviderFilterPushDown::Inexact,
            }
        });
        Ok(support.collect())
    }
}

/// Types that a Parquet file gives back as they are; structs come with nullability and order of their own.
fn readable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(element) => !element.data_type().is_nested(),
        data_type => !data_type.is_nested(),
    }
}

/// Neighbours stay together, and each group has about as many bytes.
fn grouped(files: Vec<PartitionedFile>, groups_max: usize) -> Vec<FileGroup> {
    let bytes: u64 = files.iter().map(|file| file.object_meta.size).sum();
    let share = bytes.div_ceil(groups_max.max(1) as u64).max(1);
    let mut groups: Vec<Vec<PartitionedFile>> = vec![Vec::new()];
    let mut before: u64 = 0;
    for file in files {
        let group = usize::try_from(before / share).unwrap_or(0);
        before += file.object_meta.size;
        if group >= groups.len() && groups.last().is_some_and(|last| !last.is_empty()) {
            groups.push(Vec::new());
        }
        if let Some(last) = groups.last_mut() {
            last.push(file);
        }
    }
    groups.into_iter().map(FileGroup::new).collect()
}

fn external(error: crate::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
