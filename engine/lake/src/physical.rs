//! Column mapping: tables whose files call their columns by other names than the schema does.
//!
//! Source: the column mapping section of the Delta protocol. The log annotates each field, nested ones included, with
//! its name and its number in the files.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";
const FIELD_ID: &str = "delta.columnMapping.id";
/// Where the Parquet writer looks for a field's number.
const PARQUET_FIELD_ID: &str = "PARQUET:field_id";

/// `schema` as the files have it, by the annotations of `annotated`, the schema as the log has it.
pub(crate) fn file_schema(schema: &Schema, annotated: &Schema) -> SchemaRef {
    Arc::new(Schema::new(file_fields(schema.fields(), annotated.fields())))
}

/// What the files call a column.
pub(crate) fn file_name<'a>(column: &'a str, annotated: &'a Schema) -> &'a str {
    let field = annotated.field_with_name(column).ok();
    field.and_then(|field| field.metadata().get(PHYSICAL_NAME)).map_or(column, String::as_str)
}

/// The same values under the names of `data_type`, which has the same shape.
pub(crate) fn rename(values: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if values.data_type() == data_type {
        return Ok(values.clone());
    }
    Ok(make_array(rename_data(values.to_data(), data_type)?))
}

fn rename_data(data: ArrayData, data_type: &DataType) -> Result<ArrayData, ArrowError> {
    let children: Vec<FieldRef> = match data_type {
        DataType::Struct(fields) => fields.iter().cloned().collect(),
        DataType::List(field) | DataType::Map(field, _) => vec![field.clone()],
        _ => Vec::new(),
    };
    let children = data.child_data().iter().cloned().zip(children);
    let children = children.map(|(data, field)| rename_data(data, field.data_type())).collect::<Result<_, _>>()?;
    data.into_builder().data_type(data_type.clone()).child_data(children).build()
}

fn file_fields(fields: &Fields, annotated: &Fields) -> Fields {
    fields
        .iter()
        .map(|field| match annotated.iter().find(|candidate| candidate.name() == field.name()) {
            Some(annotation) => Arc::new(file_field(field, annotation)),
            None => field.clone(),
        })
        .collect()
}

fn file_field(field: &Field, annotation: &Field) -> Field {
    let name = annotation.metadata().get(PHYSICAL_NAME).unwrap_or(field.name());
    let id = annotation.metadata().get(FIELD_ID).map(|id| (PARQUET_FIELD_ID.to_owned(), id.clone()));
    let metadata: HashMap<String, String> = id.into_iter().collect();
    let data_type = match (field.data_type(), annotation.data_type()) {
        (DataType::Struct(fields), DataType::Struct(annotated)) => DataType::Struct(file_fields(fields, annotated)),
        (DataType::List(element), DataType::List(annotated)) => {
            DataType::List(Arc::new(file_field(element, annotated)))
        }
        (DataType::Map(entries, sorted), DataType::Map(annotated, _)) => {
            DataType::Map(Arc::new(file_field(entries, annotated)), *sorted)
        }
        (other, _) => other.clone(),
    };
    Field::new(name, data_type, field.is_nullable()).with_metadata(metadata)
}
