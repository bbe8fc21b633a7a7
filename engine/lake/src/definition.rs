//! What a new table is to be, and the protocol and metadata that say so in its log.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{Metadata, MetadataExt, Protocol, StructType, new_metadata};
use serde_json::json;

use crate::alter::holds_timestamp_without_zone;
use crate::error::{Error, Result};
use crate::properties;
use crate::rules::Demands;
use crate::types::{relaxed, storable_schema};

/// Where Delta keeps a column's generation expression: in the field's metadata.
const GENERATION_EXPRESSION: &str = "delta.generationExpression";
/// Where Delta keeps what is said about a column: in the field's metadata.
pub(crate) const COMMENT: &str = "comment";
/// Where Delta keeps CHECK constraints: in the table's properties, under this prefix and the constraint's name.
pub(crate) const CONSTRAINT_PREFIX: &str = "delta.constraints.";

/// A table to be created. NOT NULL is the nullability of the schema's fields, at any depth.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSpec {
    pub schema: SchemaRef,
    pub partition_columns: Vec<String>,
    pub checks: Vec<Check>,
    pub generated: Vec<Generated>,
    pub properties: BTreeMap<String, String>,
    pub comment: Option<String>,
    /// By column.
    pub column_comments: BTreeMap<String, String>,
}

impl TableSpec {
    /// A table for the rows of a query: its names, its types as a table stores them, and every column nullable at any
    /// depth, as in PostgreSQL; a literal or a count that can't be NULL promises nothing about later rows.
    ///
    /// # Errors
    /// [`Error::UnsupportedType`] with the column's name.
    pub fn of_query(schema: &Schema) -> Result<TableSpec> {
        let nullable = |field: &FieldRef| {
            let data_type = relaxed(field.data_type());
            Field::new(field.name(), data_type, true)
        };
        let fields = storable_schema(schema)?.fields().iter().map(nullable).collect::<Vec<_>>();
        Ok(TableSpec::new(Arc::new(Schema::new(fields))))
    }

    /// A table of `schema` alone.
    pub fn new(schema: SchemaRef) -> TableSpec {
        TableSpec {
            schema,
            partition_columns: Vec::new(),
            checks: Vec::new(),
            generated: Vec::new(),
            properties: BTreeMap::new(),
            comment: None,
            column_comments: BTreeMap::new(),
        }
    }
}

/// A CHECK constraint. In a Delta table the expression must be true for every row; NULL doesn't pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub expression_sql: String,
}

/// A column whose values are computed from the row's other columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    pub column: String,
    pub expression_sql: String,
}

/// A [`TableSpec`] that has been checked, with its types as the table stores them.
pub(crate) struct Definition {
    pub schema: SchemaRef,
    pub spec: TableSpec,
    pub protocol: Protocol,
    pub metadata: Metadata,
}

impl Definition {
    pub fn of(spec: &TableSpec) -> Result<Definition> {
        let schema = storable_schema(&spec.schema)?;
        check_columns(&schema)?;
        check_partitioning(&schema, &spec.partition_columns)?;
        check_constraints(&schema, spec)?;
        properties::check(&spec.properties)?;
        let kernel_schema = kernel_schema(&schema, &spec.generated, &spec.column_comments)?;
        let mut configuration: HashMap<String, String> =
            spec.properties.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        for check in &spec.checks {
            configuration.insert(format!("{CONSTRAINT_PREFIX}{}", check.name), check.expression_sql.clone());
        }
        let mut metadata =
            new_metadata(&kernel_schema, spec.partition_columns.iter(), configuration).map_err(unwritten)?;
        if let Some(comment) = &spec.comment {
            metadata = metadata.with_description(comment.clone()).map_err(unwritten)?;
        }
        let protocol = protocol(&schema, spec)?;
        Ok(Definition { schema, spec: spec.clone(), protocol, metadata })
    }

    pub fn demands(&self) -> Demands<'_> {
        Demands {
            schema: &self.schema,
            partition_columns: &self.spec.partition_columns,
            checks: &self.spec.checks,
            invariants: &[],
            generated: &self.spec.generated,
            mapped: None,
        }
    }
}

fn unwritten(error: deltalake::kernel::Error) -> Error {
    Error::Internal { message: format!("could not write the metadata of a table: {error}") }
}

fn invalid(message: String) -> Error {
    Error::InvalidDefinition { message }
}

/// Delta compares column names without case, whoever wrote them.
fn check_columns(schema: &Schema) -> Result<()> {
    if schema.fields().is_empty() {
        return Err(invalid("a table needs at least one column".to_owned()));
    }
    let mut names = HashSet::new();
    for field in schema.fields() {
        if !names.insert(field.name().to_lowercase()) {
            let name = field.name();
            return Err(invalid(format!("column \"{name}\" appears more than once, compared without case")));
        }
    }
    Ok(())
}

fn check_partitioning(schema: &Schema, columns: &[String]) -> Result<()> {
    let mut seen = HashSet::new();
    for column in columns {
        let Ok(field) = schema.field_with_name(column) else {
            return Err(invalid(format!("partition column \"{column}\" does not exist")));
        };
        if field.data_type().is_nested() || *field.data_type() == DataType::Binary {
            return Err(invalid(format!("a table cannot be partitioned by column \"{column}\" of this type")));
        }
        if !seen.insert(column) {
            return Err(invalid(format!("partition column \"{column}\" appears more than once")));
        }
    }
    if columns.len() == schema.fields().len() {
        return Err(invalid("a table needs a column that it is not partitioned by".to_owned()));
    }
    Ok(())
}

fn check_constraints(schema: &Schema, spec: &TableSpec) -> Result<()> {
    let mut names = HashSet::new();
    for check in &spec.checks {
        if check.name.is_empty() || !names.insert(check.name.to_lowercase()) {
            return Err(invalid(format!("constraint \"{}\" appears more than once", check.name)));
        }
    }
    let mut columns = HashSet::new();
    for generated in &spec.generated {
        if schema.field_with_name(&generated.column).is_err() {
            return Err(invalid(format!("generated column \"{}\" does not exist", generated.column)));
        }
        if !columns.insert(&generated.column) {
            return Err(invalid(format!("column \"{}\" is generated more than once", generated.column)));
        }
    }
    Ok(())
}

fn kernel_schema(schema: &Schema, generated: &[Generated], comments: &BTreeMap<String, String>) -> Result<StructType> {
    let fields = schema.fields().iter().map(|field| {
        let expression = generated.iter().find(|generated| generated.column == *field.name());
        let metadata = expression.map(|generated| (GENERATION_EXPRESSION.to_owned(), generated.expression_sql.clone()));
        let comment = comments.get(field.name()).map(|comment| (COMMENT.to_owned(), comment.clone()));
        field.as_ref().clone().with_metadata(metadata.into_iter().chain(comment).collect())
    });
    let schema = Schema::new(fields.collect::<Vec<Field>>());
    (&schema).try_into_kernel().map_err(|error| invalid(error.to_string()))
}

/// The lowest protocol that carries what the table uses, so that old readers and writers still may.
///
/// Source: the table of versions and features in the Delta protocol. Only timestamps without zone need table
/// features; then everything else must be listed as a feature too.
fn protocol(schema: &Schema, spec: &TableSpec) -> Result<Protocol> {
    let change_feed = spec.properties.get("delta.enableChangeDataFeed").is_some_and(|value| value == "true");
    let value = if schema.fields().iter().any(|field| holds_timestamp_without_zone(field.data_type())) {
        let mut features = vec!["timestampNtz", "appendOnly", "invariants"];
        features.extend((!spec.checks.is_empty()).then_some("checkConstraints"));
        features.extend((!spec.generated.is_empty()).then_some("generatedColumns"));
        features.extend(change_feed.then_some("changeDataFeed"));
        json!({
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": ["timestampNtz"],
            "writerFeatures": features,
        })
    } else if change_feed || !spec.generated.is_empty() {
        json!({"minReaderVersion": 1, "minWriterVersion": 4})
    } else if !spec.checks.is_empty() {
        json!({"minReaderVersion": 1, "minWriterVersion": 3})
    } else {
        json!({"minReaderVersion": 1, "minWriterVersion": 2})
    };
    serde_json::from_value(value).map_err(|error| Error::Internal { message: format!("invalid protocol: {error}") })
}
