//! Other lakes, read only: another data directory's tables, or a folder of Delta tables (`schema/table`, or `table`, which
//! then is one of schema `public`). What is there is looked up when it is named.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result as PlanResult};
use url::Url;

use super::versions;
use crate::catalog::{Attachment, DEFAULT_SCHEMA, LakeCatalog, TableEntry, TableKind, store};
use crate::error::{Error, Kind, Result};

const CATALOG_FILE: &str = "catalog.sqlite";
const LOG_FOLDER: &str = "_delta_log";
/// Entries of a folder that are looked at for a list.
const LISTED_MAX: usize = 10_000;

pub(crate) struct AttachedCatalog {
    lake: Arc<LakeCatalog>,
    attachment: Attachment,
}

impl AttachedCatalog {
    pub fn new(lake: Arc<LakeCatalog>, attachment: Attachment) -> AttachedCatalog {
        AttachedCatalog { lake, attachment }
    }
}

impl CatalogProvider for AttachedCatalog {
    /// Asked for by nobody: lists of another lake come from [`relations`].
    fn schema_names(&self) -> Vec<String> {
        vec![]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let (lake, attachment) = (Arc::clone(&self.lake), self.attachment.clone());
        Some(Arc::new(AttachedSchema { lake, attachment, name: name.to_owned() }))
    }
}

struct AttachedSchema {
    lake: Arc<LakeCatalog>,
    attachment: Attachment,
    name: String,
}

#[async_trait]
impl SchemaProvider for AttachedSchema {
    fn table_names(&self) -> Vec<String> {
        vec![]
    }

    async fn table(&self, name: &str) -> PlanResult<Option<Arc<dyn TableProvider>>> {
        let (bare, _) = versions::split(name);
        let found = find(&self.attachment, &self.name, bare).await.map_err(DataFusionError::from)?;
        match found {
            Some(table) => self.lake.open(&table, name).await.map(Some),
            None => Ok(None),
        }
    }

    fn table_exist(&self, _name: &str) -> bool {
        true
    }
}

async fn find(attachment: &Attachment, schema: &str, name: &str) -> Result<Option<TableEntry>> {
    let Some(folder) = local(&attachment.location) else {
        return Ok(Some(located(&attachment.location, schema, name, &[schema, name])?));
    };
    if folder.join(CATALOG_FILE).exists() {
        let snapshot = store::read(&folder).await?;
        if snapshot.view(schema, name).is_some() {
            return Err(Error::unsupported("a view of an attached database")
                .with_detail(format!("\"{schema}.{name}\" is a view of \"{}\".", attachment.name))
                .with_hint("Query the tables that it is made from, or make the view here."));
        }
        return Ok(snapshot.table(schema, name).cloned());
    }
    if !(is_plain(schema) && is_plain(name)) {
        return Ok(None);
    }
    if folder.join(schema).join(name).join(LOG_FOLDER).exists() {
        return located(&attachment.location, schema, name, &[schema, name]).map(Some);
    }
    if schema == DEFAULT_SCHEMA && folder.join(name).join(LOG_FOLDER).exists() {
        return located(&attachment.location, schema, name, &[name]).map(Some);
    }
    Ok(None)
}

/// Schemas and names of the tables of another lake, in their order.
pub(crate) async fn relations(attachment: &Attachment) -> Result<Vec<(String, String)>> {
    let Some(folder) = local(&attachment.location) else {
        return Err(Error::unsupported(format!("a list of the tables at \"{}\"", attachment.location))
            .with_hint("Name a table: SELECT * FROM database.schema.table."));
    };
    if folder.join(CATALOG_FILE).exists() {
        let snapshot = store::read(&folder).await?;
        return Ok(snapshot.tables().map(|table| (table.schema.clone(), table.name.clone())).collect());
    }
    let mut found = vec![];
    for name in folders(&folder).await? {
        if folder.join(&name).join(LOG_FOLDER).exists() {
            found.push((DEFAULT_SCHEMA.to_owned(), name));
            continue;
        }
        for table in folders(&folder.join(&name)).await? {
            if folder.join(&name).join(&table).join(LOG_FOLDER).exists() {
                found.push((name.clone(), table));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What a location must be to be attached: a folder of this machine that is there, or one of an object store.
pub(crate) async fn check(location: &Url, data_dir: &Path) -> Result<()> {
    let Some(folder) = local(location) else { return Ok(()) };
    let shown = folder.display();
    let Ok(canonical) = folder.canonicalize() else {
        return Err(Error::new(Kind::UndefinedFile, format!("there is no folder \"{shown}\"")));
    };
    if !canonical.is_dir() {
        return Err(Error::new(Kind::UndefinedFile, format!("\"{shown}\" is not a folder"))
            .with_hint("Attach a data directory, or a folder that holds Delta tables."));
    }
    if canonical == data_dir {
        return Err(Error::new(Kind::InvalidParameterValue, format!("\"{shown}\" is this database itself")));
    }
    if folder.join(CATALOG_FILE).exists() {
        store::read(&folder).await?;
    }
    Ok(())
}

async fn folders(folder: &Path) -> Result<Vec<String>> {
    let mut names = vec![];
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        if names.len() >= LISTED_MAX {
            return Err(Error::unsupported(format!("a list of more than {LISTED_MAX} folders")));
        }
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with(['.', '_'])
            && entry.file_type().await?.is_dir()
        {
            names.push(name);
        }
    }
    Ok(names)
}

fn local(location: &Url) -> Option<PathBuf> {
    if location.scheme() == "file" { location.to_file_path().ok() } else { None }
}

/// A name that stays in its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

fn located(root: &Url, schema: &str, name: &str, path: &[&str]) -> Result<TableEntry> {
    let mut location = root.clone();
    if !path.iter().all(|part| is_plain(part)) {
        return Err(Error::new(Kind::UndefinedTable, format!("relation \"{schema}.{name}\" does not exist")));
    }
    match location.path_segments_mut() {
        Ok(mut segments) => segments.pop_if_empty().extend(path).push(""),
        Err(()) => return Err(Error::internal(format!("\"{root}\" has no path"))),
    };
    Ok(TableEntry {
        oid: 0,
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: TableKind::Located,
        location,
        options: Default::default(),
        columns: None,
    })
}

impl fmt::Debug for AttachedCatalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AttachedCatalog").field("attachment", &self.attachment).finish_non_exhaustive()
    }
}

impl fmt::Debug for AttachedSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AttachedSchema").field("name", &self.name).finish_non_exhaustive()
    }
}
