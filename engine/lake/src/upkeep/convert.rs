//! A folder of Parquet files becomes a Delta table where it lies: a first entry of a log names the files as they are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use deltalake::kernel::Add;
use deltalake::logstore::ObjectStoreRef;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;
use url::Url;

use super::footer::Footer;
use super::hive;
use super::paths::in_table;
use crate::commit;
use crate::definition::{Definition, TableSpec};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::location;
use crate::types::storable;
use crate::writer::Files;

const FOOTERS_AT_ONCE: usize = 16;
const EXTENSION: &str = "parquet";

/// What a conversion has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    pub files: u64,
    pub rows: u64,
}

impl Lake {
    /// Makes a Delta table of the Parquet files below `location`; no file is written but the log's first entry.
    /// Columns are those of all files together, each nullable; a file without a column has NULL there. Folders named
    /// `column=value` are partitions, and `partition_columns` says of which types.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`] when there are no files, when they disagree on a column's type, or when folders
    /// and partition columns don't fit; [`Error::LocationInUse`] when a table is there already.
    pub async fn convert(&self, location: &Url, partition_columns: Vec<Field>) -> Result<Converted> {
        // Held, not used: what lies there is somebody's, and is never cleared away.
        let claim = self.claim(location)?;
        let root = location::root(location)?;
        let log_store = location::log_store(&root, &self.stores)?;
        if log_store.is_delta_table_location().await.unwrap_or(false) {
            return Err(Error::LocationInUse { location: location::display(&root) });
        }
        let store = log_store.object_store(None);
        let files = parquet_files(&store, &partition_columns).await?;
        if files.is_empty() {
            let place = location::display(&root);
            return Err(Error::InvalidDefinition { message: format!("there are no parquet files at \"{place}\"") });
        }
        let footers = files.into_iter().map(|file| Footer::read(store.clone(), file).boxed()).collect::<Vec<_>>();
        let footers: Vec<Footer> = stream::iter(footers).buffered(FOOTERS_AT_ONCE).try_collect().await?;
        let schema = merged(&footers, &partition_columns)?;
        let mut spec = TableSpec::new(schema);
        spec.partition_columns = partition_columns.iter().map(|field| field.name().clone()).collect();
        let definition = Definition::of(&spec)?;
        let mut written = Files::none();
        for footer in &footers {
            written.adds.push(add(footer, &partition_columns)?);
            written.rows = written.rows.saturating_add(footer.rows());
        }
        let converted = Converted { files: written.adds.len() as u64, rows: written.rows };
        commit::create(log_store, &root, definition, written).await?;
        drop(claim);
        Ok(converted)
    }
}

async fn parquet_files(store: &ObjectStoreRef, partition_columns: &[Field]) -> Result<Vec<ObjectMeta>> {
    let names: Vec<String> = partition_columns.iter().map(|field| field.name().clone()).collect();
    let wanted = |file: &ObjectMeta| {
        file.location.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(EXTENSION))
            && in_table(&file.location, &names)
            && file.size > 0
    };
    let files: Vec<ObjectMeta> = store.list(None).try_collect().await.map_err(deltalake::DeltaTableError::from)?;
    let mut files: Vec<ObjectMeta> = files.into_iter().filter(wanted).collect();
    files.sort_by(|left, right| left.location.cmp(&right.location));
    Ok(files)
}

fn invalid(message: String) -> Error {
    Error::InvalidDefinition { message }
}

/// The columns of all files in the order in which they are first met, then those of the partitions.
fn merged(footers: &[Footer], partition_columns: &[Field]) -> Result<SchemaRef> {
    let mut fields: Vec<FieldRef> = Vec::new();
    let mut known: HashMap<String, (DataType, String)> = HashMap::new();
    for footer in footers {
        for field in footer.schema().fields() {
            let name = field.name();
            let data_type = storable(field.data_type()).map_err(|error| match error {
                Error::UnsupportedType { data_type, .. } => Error::UnsupportedType { column: name.clone(), data_type },
                error => error,
            })?;
            match known.get(name) {
                Some((earlier, path)) if *earlier != data_type => {
                    let here = footer.path();
                    return Err(invalid(format!(
                        "column \"{name}\" has type {earlier} in file \"{path}\" and {data_type} in \"{here}\""
                    )));
                }
                Some(_) => {}
                None => {
                    fields.push(Arc::new(Field::new(name, data_type.clone(), true)));
                    known.insert(name.clone(), (data_type, footer.path().to_owned()));
                }
            }
        }
    }
    for field in partition_columns {
        if let Some((_, path)) = known.get(field.name()) {
            let name = field.name();
            return Err(invalid(format!("partition column \"{name}\" is a column of file \"{path}\" too")));
        }
        fields.push(Arc::new(Field::new(field.name(), storable(field.data_type())?, true)));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn add(footer: &Footer, partition_columns: &[Field]) -> Result<Add> {
    Ok(Add {
        path: footer.path().to_owned(),
        partition_values: partition_values(footer.path(), partition_columns)?,
        size: i64::try_from(footer.bytes()).unwrap_or(i64::MAX),
        modification_time: footer.modified_ms(),
        data_change: true,
        stats: Some(footer.statistics()?.to_string()),
        ..Add::default()
    })
}

/// The values that a file's folders give.
fn partition_values(path: &str, columns: &[Field]) -> Result<HashMap<String, Option<String>>> {
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    let (folders, _) = path.rsplit_once('/').unwrap_or_default();
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        let Some((name, value)) = hive::read(folder) else {
            return Err(invalid(format!("file \"{path}\" lies in a folder that is not named <column>=<value>")));
        };
        let Some(column) = columns.iter().find(|column| *column.name() == name) else {
            return Err(Error::UndeclaredPartition { path: path.to_owned(), column: name });
        };
        let value = value.map(|value| hive::typed(&value, column, path)).transpose()?;
        found.insert(name, value);
    }
    match columns.iter().find(|column| !found.contains_key(column.name())) {
        Some(column) => {
            let name = column.name();
            Err(invalid(format!("file \"{path}\" lies in no folder named {name}=<value>")))
        }
        None => Ok(found.into_iter().collect()),
    }
}
