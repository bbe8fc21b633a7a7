//! `information_schema` that survives tables which can't be opened: such a table is listed without columns.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use async_trait::async_trait;
use datafusion::catalog::information_schema::{INFORMATION_SCHEMA, InformationSchemaProvider};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemTable, SchemaProvider, TableProvider};
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::Result;
use datafusion::logical_expr::TableType;

mod columns;

use columns::Columns;

pub(crate) const NAME: &str = INFORMATION_SCHEMA;

/// Who knows what is said about columns.
#[async_trait]
pub(crate) trait Comments: fmt::Debug + Send + Sync {
    /// By column.
    async fn of_columns(&self, schema: &str, table: &str) -> BTreeMap<String, String>;
}

/// The schema over `catalog`, whose name is `name`.
pub(crate) fn over(
    catalog: Arc<dyn CatalogProvider>,
    name: &str,
    comments: Arc<dyn Comments>,
) -> Arc<dyn SchemaProvider> {
    let name = name.to_owned();
    let catalog: Arc<dyn CatalogProvider> = Arc::new(Lenient { catalog });
    let inner =
        InformationSchemaProvider::new(Arc::new(OneCatalog { name: name.clone(), catalog: Arc::clone(&catalog) }));
    Arc::new(WithColumns { inner: Arc::new(inner), name, catalog, comments })
}

/// The planner's information schema, with a `columns` of our own: numbered from one, and with PostgreSQL's names of types;
/// and with a `views` that holds no tables.
#[derive(Debug)]
struct WithColumns {
    inner: Arc<dyn SchemaProvider>,
    name: String,
    catalog: Arc<dyn CatalogProvider>,
    comments: Arc<dyn Comments>,
}

const COLUMNS: &str = "columns";
const VIEWS: &str = "views";

#[async_trait]
impl SchemaProvider for WithColumns {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match name {
            COLUMNS => self.columns().await.map(Some),
            VIEWS => self.views().await.map(Some),
            _ => self.inner.table(name).await,
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        self.inner.table_type(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

impl WithColumns {
    async fn columns(&self) -> Result<Arc<dyn TableProvider>> {
        let mut columns = Columns::default();
        for (schema_name, schema) in self.schemas() {
            for table_name in names(schema.as_ref()) {
                if let Some(table) = schema.table(&table_name).await? {
                    let comments = self.comments.of_columns(&schema_name, &table_name).await;
                    columns.add([&self.name, &schema_name, &table_name], &table.schema(), &comments);
                }
            }
        }
        columns.table()
    }

    async fn views(&self) -> Result<Arc<dyn TableProvider>> {
        let mut rows: [Vec<String>; 4] = Default::default();
        for (schema_name, schema) in self.schemas() {
            for table_name in names(schema.as_ref()) {
                if schema.table_type(&table_name).await? != Some(TableType::View) {
                    continue;
                }
                let table = schema.table(&table_name).await?;
                if let Some(definition) = table.as_ref().and_then(|table| table.get_table_definition()) {
                    let row = [&self.name, &schema_name, &table_name, definition];
                    rows.iter_mut().zip(row).for_each(|(column, value)| column.push(value.to_owned()));
                }
            }
        }
        let count = rows.first().map_or(0, Vec::len);
        let mut columns: Vec<(&str, ArrayRef)> = ["table_catalog", "table_schema", "table_name", "view_definition"]
            .into_iter()
            .zip(rows.map(text))
            .collect();
        for (name, value) in [("check_option", "NONE"), ("is_updatable", "NO"), ("is_insertable_into", "NO")] {
            columns.push((name, text(vec![value.to_owned(); count])));
        }
        let batch = RecordBatch::try_from_iter(columns)?;
        Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
    }

    fn schemas(&self) -> Vec<(String, Arc<dyn SchemaProvider>)> {
        let mut names = self.catalog.schema_names();
        names.sort();
        names.into_iter().filter_map(|name| Some((name.clone(), self.catalog.schema(&name)?))).collect()
    }
}

fn names(schema: &dyn SchemaProvider) -> Vec<String> {
    let mut names = schema.table_names();
    names.sort();
    names
}

fn text(values: Vec<String>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

#[derive(Debug)]
struct OneCatalog {
    name: String,
    catalog: Arc<dyn CatalogProvider>,
}

impl CatalogProviderList for OneCatalog {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == self.name).then(|| Arc::clone(&self.catalog))
    }
}

#[derive(Debug)]
struct Lenient {
    catalog: Arc<dyn CatalogProvider>,
}

impl CatalogProvider for Lenient {
    fn schema_names(&self) -> Vec<String> {
        self.catalog.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        // Asked for itself, it would answer for ever.
        let schema = (name != NAME).then(|| self.catalog.schema(name)).flatten()?;
        Some(Arc::new(LenientSchema { schema }))
    }
}

#[derive(Debug)]
struct LenientSchema {
    schema: Arc<dyn SchemaProvider>,
}

#[async_trait]
impl SchemaProvider for LenientSchema {
    fn owner_name(&self) -> Option<&str> {
        self.schema.owner_name()
    }

    fn table_names(&self) -> Vec<String> {
        self.schema.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.schema.table(name).await {
            Ok(table) => Ok(table),
            Err(error) => {
                tracing::warn!(table = name, %error, "a table can't be opened");
                Ok(Some(Arc::new(EmptyTable::new(Arc::new(Schema::empty())))))
            }
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        self.schema.table_type(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.schema.table_exist(name)
    }
}
