//! Rows into files: one file, or a folder of them. Whole or nothing: a file appears when it is complete, and a folder
//! that was begun is emptied again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, UInt64Type};
use datafusion::common::Column;
use datafusion::datasource::file_format::{FileFormatFactory, format_as_file_type};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::object_store::path::Path;
use datafusion::object_store::{ObjectStore, ObjectStoreExt};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{collect, execute_stream};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::oneshot;
use url::{Position, Url};

use super::find::compression_of;
use super::options::{compression, flag, invalid, one_byte};
use super::partitions::NULL_FOLDER;
use crate::error::{Error, Result};
use crate::external::Format;
use crate::stream::plan_of_rows;

/// Writes the rows of `plan`; answers how many.
pub(crate) async fn export(
    plan: LogicalPlan,
    format: Format,
    url: &Url,
    options: &BTreeMap<String, String>,
    session: &SessionState,
) -> Result<u64> {
    let written = Written::parse(format, url, options)?;
    let factory = session
        .get_file_format_factory(format.name())
        .ok_or_else(|| Error::Unsupported { what: format!("writing files of format {}", format.name()) })?;
    let store = session
        .runtime_env()
        .object_store(datafusion::datasource::object_store::ObjectStoreUrl::parse(&url[..Position::BeforePath])?)?;
    let folder =
        Path::from_url_path(url.path()).map_err(|error| Error::InvalidDefinition { message: error.to_string() })?;
    let begun = match written.into_folder {
        true => Some(Begun::new(store, folder).await?),
        false => None,
    };
    let result = write(with_folders(plan, &written.partition_by)?, url, factory, written, session).await;
    match (result, begun) {
        (Ok(rows), begun) => {
            if let Some(begun) = begun {
                begun.keep();
            }
            Ok(rows)
        }
        (Err(error), begun) => {
            if let Some(begun) = begun {
                begun.empty().await;
            }
            Err(error)
        }
    }
}

async fn write(
    plan: LogicalPlan,
    url: &Url,
    factory: Arc<dyn FileFormatFactory>,
    written: Written,
    session: &SessionState,
) -> Result<u64> {
    let rows = session.create_physical_plan(&plan).await?;
    let (rows, failed) = until_failure(execute_stream(rows, session.task_ctx())?);
    let plan = plan_of_rows("rows", rows)?;
    let plan = LogicalPlanBuilder::copy_to(
        plan,
        url.to_string(),
        format_as_file_type(factory),
        written.options,
        written.partition_by,
    )?;
    let plan = session.create_physical_plan(&plan.build()?).await?;
    tokio::select! {
        biased;
        Ok(error) = failed => Err(error.into()),
        counts = collect(plan, session.task_ctx()) => Ok(counted(&counts?)),
    }
}

/// The rows up to an error, which is told beside them. DataFusion's writers take an error for the end, and would finish
/// the file: they are dropped instead, while they wait for more.
fn until_failure(rows: SendableRecordBatchStream) -> (SendableRecordBatchStream, oneshot::Receiver<DataFusionError>) {
    let (failed, failure) = oneshot::channel();
    let schema = rows.schema();
    let sound = futures::stream::unfold((rows, Some(failed)), |(mut rows, mut failed)| async move {
        match rows.next().await? {
            Ok(batch) => Some((Ok(batch), (rows, failed))),
            Err(error) => {
                if let Some(failed) = failed.take() {
                    let _ = failed.send(error);
                }
                std::future::pending().await
            }
        }
    });
    (Box::pin(RecordBatchStreamAdapter::new(schema, sound)), failure)
}

fn counted(counts: &[RecordBatch]) -> u64 {
    let counts = counts.iter().filter_map(|batch| batch.column(0).as_primitive_opt::<UInt64Type>());
    counts.flat_map(|counts| counts.iter().flatten()).sum()
}

/// Partition columns as the folders' names spell them. The writer takes no notice of NULL.
fn with_folders(plan: LogicalPlan, partition_by: &[String]) -> Result<LogicalPlan> {
    if partition_by.is_empty() {
        return Ok(plan);
    }
    let columns = plan.schema().columns();
    if let Some(unknown) = partition_by.iter().find(|name| columns.iter().all(|column| column.name != **name)) {
        return Err(Error::UndefinedColumn { column: unknown.clone() });
    }
    if partition_by.len() == columns.len() {
        return Err(Error::InvalidDefinition {
            message: "files need a column besides those of partition_by".to_owned(),
        });
    }
    let shown = |column: Column| match partition_by.contains(&column.name) {
        true => {
            let name = column.name.clone();
            coalesce(vec![cast(Expr::Column(column), DataType::Utf8), lit(NULL_FOLDER)]).alias(name)
        }
        false => Expr::Column(column),
    };
    let shown: Vec<Expr> = columns.into_iter().map(shown).collect();
    Ok(LogicalPlanBuilder::from(plan).project(shown)?.build()?)
}

/// What is written, and how, in DataFusion's words.
struct Written {
    options: HashMap<String, String>,
    partition_by: Vec<String>,
    into_folder: bool,
}

impl Written {
    fn parse(format: Format, url: &Url, given: &BTreeMap<String, String>) -> Result<Written> {
        if matches!(format, Format::Delta) {
            return Err(Error::Unsupported { what: "writing a Delta table as files".to_owned() });
        }
        let mut options: HashMap<String, String> = HashMap::new();
        let mut partition_by: Vec<String> = vec![];
        if format == Format::Csv {
            options.insert("format.has_header".to_owned(), "true".to_owned());
        }
        if matches!(format, Format::Csv | Format::Json) {
            let by_name = compression_of(url.path()).get_variant().to_string();
            options.insert("format.compression".to_owned(), by_name);
        }
        for (key, value) in given {
            let key = key.to_lowercase();
            let (name, value) = match (format, key.as_str()) {
                (_, "partition_by") => {
                    let names = value.trim_matches(['(', ')']).split(',');
                    partition_by = names.map(|name| name.trim().to_owned()).collect();
                    continue;
                }
                (Format::Csv, "header" | "has_header") => ("has_header", flag(&key, value)?.to_string()),
                (Format::Csv, "delim" | "delimiter" | "sep") => ("delimiter", one_byte(&key, value)?),
                (Format::Csv, "quote") => ("quote", one_byte(&key, value)?),
                (Format::Csv, "escape") => ("escape", one_byte(&key, value)?),
                (Format::Csv, "null" | "nullstr") => ("null_value", value.clone()),
                (Format::Csv | Format::Json, "compression") => match compression(value)? {
                    Some(compression) => ("compression", compression.get_variant().to_string()),
                    None => continue,
                },
                (Format::Parquet, "compression") => ("compression", parquet_compression(value)?),
                (Format::Parquet, "row_group_size") => ("max_row_group_size", positive(&key, value)?),
                _ => {
                    return Err(Error::InvalidOption {
                        message: format!("{} files are written without an option \"{key}\"", format.name()),
                    });
                }
            };
            options.insert(format!("format.{name}"), value);
        }
        let into_folder = !partition_by.is_empty() || url.path().ends_with('/');
        options.insert("single_file_output".to_owned(), (!into_folder).to_string());
        Ok(Written { options, partition_by, into_folder })
    }
}

fn parquet_compression(value: &str) -> Result<String> {
    Ok(match value.to_lowercase().as_str() {
        "none" | "uncompressed" => "uncompressed".to_owned(),
        "zstd" => "zstd(3)".to_owned(),
        "gzip" => "gzip(6)".to_owned(),
        "brotli" => "brotli(4)".to_owned(),
        plain @ ("snappy" | "lz4" | "lz4_raw") => plain.to_owned(),
        _ => return Err(invalid("compression", value, "none, snappy, zstd, gzip, lz4, lz4_raw or brotli")),
    })
}

fn positive(key: &str, value: &str) -> Result<String> {
    match value.trim().parse::<usize>() {
        Ok(number) if number > 0 => Ok(number.to_string()),
        _ => Err(invalid(key, value, "a positive number")),
    }
}

/// A folder that was empty before, and is emptied again unless it is kept.
struct Begun {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    kept: bool,
}

impl Begun {
    async fn new(store: Arc<dyn ObjectStore>, folder: Path) -> Result<Begun> {
        let first = store.list(Some(&folder)).try_next().await.map_err(deltalake::DeltaTableError::from)?;
        match first {
            Some(_) => Err(Error::LocationInUse { location: format!("/{folder}") }),
            None => Ok(Begun { store, folder, kept: false }),
        }
    }

    fn keep(mut self) {
        self.kept = true;
    }

    async fn empty(mut self) {
        self.kept = true;
        empty(&self.store, &self.folder).await;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let (store, folder) = (Arc::clone(&self.store), self.folder.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { empty(&store, &folder).await });
        }
    }
}

async fn empty(store: &Arc<dyn ObjectStore>, folder: &Path) {
    let mut objects = store.list(Some(folder));
    while let Ok(Some(object)) = objects.try_next().await {
        if let Err(error) = store.delete(&object.location).await {
            tracing::warn!(path = %object.location, %error, "could not delete a file of an export that failed");
        }
    }
}
