//! Parquet and CSV files that the lake doesn't own, as tables to scan.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::SessionState;
use url::Url;

use crate::error::{Error, Result};
use crate::{location, stores};

/// How the files of an external table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Delta,
    Parquet,
    Csv,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Delta | Format::Parquet => "parquet",
            Format::Csv => "csv",
        }
    }
}

/// A Delta table says itself what its columns and formats are.
pub(crate) fn refuse_options(schema_given: bool, options: &BTreeMap<String, String>) -> Result<()> {
    let message = match options.keys().next() {
        Some(key) => format!("a delta table takes no option \"{key}\""),
        None if schema_given => "a delta table takes no column list: its log has one".to_owned(),
        None => return Ok(()),
    };
    Err(Error::InvalidDefinition { message })
}

/// A file, or the files of a folder that have the format's extension.
pub(crate) async fn listing(
    format: Format,
    location: &Url,
    schema: Option<SchemaRef>,
    options: &BTreeMap<String, String>,
    session: &SessionState,
) -> Result<Arc<dyn TableProvider>> {
    let (url, in_folder) = place(location).await?;
    let table_path = ListingTableUrl::try_new(url, None)?;
    let extension = if in_folder { format!(".{}", format.extension()) } else { String::new() };
    let listing = ListingOptions::new(file_format(format, options, session)?).with_file_extension(extension);
    let schema = match schema {
        Some(schema) => schema,
        None => listing.infer_schema(session, &table_path).await?,
    };
    if schema.fields().is_empty() {
        let path = location::display(location);
        return Err(Error::InvalidDefinition { message: format!("no columns could be found at \"{path}\"") });
    }
    let config = ListingTableConfig::new(table_path).with_listing_options(listing).with_schema(schema);
    Ok(Arc::new(ListingTable::try_new(config)?))
}

/// The URL of a file or folder, and whether it is a folder. An object store knows no folders: a name that ends with a
/// slash, or has no extension, is one.
async fn place(location: &Url) -> Result<(Url, bool)> {
    if !location::is_local(location) {
        let name = location.path().rsplit('/').next().unwrap_or_default();
        return match name.contains('.') {
            true => Ok((location.clone(), false)),
            false => Ok((stores::canonical(location)?, true)),
        };
    }
    let path = location::folder(location)?;
    let in_folder = match tokio::fs::metadata(&path).await {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => return Err(Error::Io(std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))),
    };
    let url = if in_folder { Url::from_directory_path(&path) } else { Url::from_file_path(&path) };
    Ok((url.map_err(|()| Error::NotATable { location: location.to_string() })?, in_folder))
}

fn file_format(
    format: Format,
    options: &BTreeMap<String, String>,
    session: &SessionState,
) -> Result<Arc<dyn FileFormat>> {
    let qualified = |key: &str| match key.contains('.') {
        true => key.to_owned(),
        false => format!("format.{key}"),
    };
    let options: HashMap<String, String> = options.iter().map(|(key, value)| (qualified(key), value.clone())).collect();
    let factory = session.get_file_format_factory(format.extension()).ok_or_else(|| Error::UnsupportedFeature {
        name: format!("external tables of format {}", format.extension()),
    })?;
    factory.create(session, &options).map_err(|error| Error::InvalidDefinition { message: error.to_string() })
}
