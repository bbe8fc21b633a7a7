//! `information_schema` that survives tables which can't be opened: such a table is listed without columns.

use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use datafusion::catalog::information_schema::{INFORMATION_SCHEMA, InformationSchemaProvider};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::Result;
use datafusion::logical_expr::TableType;

mod columns;

use columns::Columns;

pub(crate) const NAME: &str = INFORMATION_SCHEMA;

/// The schema over `catalog`, whose name is `name`.
pub(crate) fn over(catalog: Arc<dyn CatalogProvider>, name: &str) -> Arc<dyn SchemaProvider> {
    let name = name.to_owned();
    let catalog: Arc<dyn CatalogProvider> = Arc::new(Lenient { catalog });
    let inner =
        InformationSchemaProvider::new(Arc::new(OneCatalog { name: name.clone(), catalog: Arc::clone(&catalog) }));
    Arc::new(WithColumns { inner: Arc::new(inner), name, catalog })
}

/// The planner's information schema, with a `columns` of our own: numbered from one, and with PostgreSQL's names of types.
#[derive(Debug)]
struct WithColumns {
    inner: Arc<dyn SchemaProvider>,
    name: String,
    catalog: Arc<dyn CatalogProvider>,
}

const COLUMNS: &str = "columns";

#[async_trait]
impl SchemaProvider for WithColumns {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name != COLUMNS {
            return self.inner.table(name).await;
        }
        let mut columns = Columns::default();
        let mut schemas = self.catalog.schema_names();
        schemas.sort();
        for schema_name in schemas {
            let Some(schema) = self.catalog.schema(&schema_name) else { continue };
            let mut tables = schema.table_names();
            tables.sort();
            for table_name in tables {
                if let Some(table) = schema.table(&table_name).await? {
                    columns.add(&self.name, &schema_name, &table_name, &table.schema());
                }
            }
        }
        Ok(Some(columns.table()?))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        self.inner.table_type(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
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
