//! Which Arrow types a Delta table stores, and what every other type becomes on its way in.
//!
//! Source: the schema section of the Delta protocol (primitive types, struct, array, map).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};

/// The type in which a Delta table stores values of `data_type`.
///
/// Widened without loss: unsigned integers of 8, 16 and 32 bits, half floats, small decimals, dictionaries,
/// views, large and fixed-size lists. Unsigned 64-bit integers become `Int64`, and a value beyond it fails the
/// write. Timestamps are kept in microseconds: nanoseconds below are cut off; with a zone they are stored in UTC.
/// A column of type NULL becomes text, as in PostgreSQL.
///
/// # Errors
/// [`Error::UnsupportedType`], naming the innermost type: times of day, intervals, durations, unions, decimals of
/// more than 38 digits or of negative scale.
pub fn storable(data_type: &DataType) -> Result<DataType> {
    stored(data_type).map_err(|data_type| Error::UnsupportedType { column: String::new(), data_type })
}

/// The schema in which a table stores rows of `schema`: names and nullability as they are, types by [`storable`],
/// field metadata dropped.
///
/// # Errors
/// [`Error::UnsupportedType`] with the column's name.
pub fn storable_schema(schema: &Schema) -> Result<SchemaRef> {
    let field = |field: &FieldRef| {
        stored_field(field).map_err(|data_type| Error::UnsupportedType { column: field.name().clone(), data_type })
    };
    Ok(Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Result<Fields>>()?)))
}

fn stored(data_type: &DataType) -> Result<DataType, DataType> {
    use DataType::*;
    Ok(match data_type {
        Boolean | Int8 | Int16 | Int32 | Int64 | Float32 | Float64 | Utf8 | Binary | Date32 => data_type.clone(),
        UInt8 => Int16,
        UInt16 => Int32,
        UInt32 | UInt64 => Int64,
        Float16 => Float32,
        Null | LargeUtf8 | Utf8View => Utf8,
        LargeBinary | BinaryView | FixedSizeBinary(_) => Binary,
        Date64 => Date32,
        Timestamp(_, None) => Timestamp(TimeUnit::Microsecond, None),
        Timestamp(_, Some(_)) => Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Decimal32(precision, scale)
        | Decimal64(precision, scale)
        | Decimal128(precision, scale)
        | Decimal256(precision, scale)
            if *precision <= 38 && *scale >= 0 && i16::from(*scale) <= i16::from(*precision) =>
        {
            Decimal128(*precision, *scale)
        }
        List(element) | LargeList(element) | FixedSizeList(element, _) | ListView(element) | LargeListView(element) => {
            List(Arc::new(Field::new("element", stored(element.data_type())?, element.is_nullable())))
        }
        Struct(fields) => Struct(fields.iter().map(stored_field).collect::<Result<Fields, _>>()?),
        Map(entries, _) => stored_map(entries.data_type())?,
        Dictionary(_, values) => stored(values)?,
        RunEndEncoded(_, values) => stored(values.data_type())?,
        other => return Err(other.clone()),
    })
}

fn stored_field(field: &FieldRef) -> Result<FieldRef, DataType> {
    Ok(Arc::new(Field::new(field.name(), stored(field.data_type())?, field.is_nullable())))
}

fn stored_map(entries: &DataType) -> Result<DataType, DataType> {
    let DataType::Struct(fields) = entries else { return Err(entries.clone()) };
    let [key, value] = fields.as_ref() else { return Err(entries.clone()) };
    let key = Field::new("key", stored(key.data_type())?, false);
    let value = Field::new("value", stored(value.data_type())?, value.is_nullable());
    let entries = Field::new("key_value", DataType::Struct(Fields::from(vec![key, value])), false);
    Ok(DataType::Map(Arc::new(entries), false))
}

/// `data_type` with every nested field nullable. NOT NULL is a promise of the table's schema, checked by `rules`;
/// arrays are built with this type, because Arrow refuses to build one that breaks the promise.
pub(crate) fn relaxed(data_type: &DataType) -> DataType {
    let relax = |field: &FieldRef| {
        Arc::new(field.as_ref().clone().with_data_type(relaxed(field.data_type())).with_nullable(true))
    };
    match data_type {
        DataType::List(element) => DataType::List(relax(element)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(relax).collect()),
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else { return data_type.clone() };
            let pair = pair.iter().enumerate().map(|(index, field)| {
                let inner = field.as_ref().clone().with_data_type(relaxed(field.data_type()));
                Arc::new(if index == 0 { inner } else { inner.with_nullable(true) })
            });
            let entries = entries.as_ref().clone().with_data_type(DataType::Struct(pair.collect()));
            DataType::Map(Arc::new(entries), *sorted)
        }
        other => other.clone(),
    }
}

/// `schema` without the metadata that the Delta log keeps on fields, at any depth: two schemas that differ in it
/// alone are the same to a query.
pub(crate) fn plain_schema(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(plain_field).collect::<Fields>()))
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::List(element) => DataType::List(plain_field(element)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_widen_and_types_that_are_refused() {
        use DataType::*;
        let item = || Arc::new(Field::new("item", Float16, true));
        let list = List(Arc::new(Field::new("element", Float32, true)));
        let cases = [
            (UInt8, Some(Int16)),
            (UInt64, Some(Int64)),
            (Null, Some(Utf8)),
            (Utf8View, Some(Utf8)),
            (Dictionary(Box::new(Int32), Box::new(LargeUtf8)), Some(Utf8)),
            (FixedSizeBinary(16), Some(Binary)),
            (Timestamp(TimeUnit::Nanosecond, None), Some(Timestamp(TimeUnit::Microsecond, None))),
            (
                Timestamp(TimeUnit::Second, Some("+02:00".into())),
                Some(Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            ),
            (FixedSizeList(item(), 3), Some(list.clone())),
            (LargeListView(item()), Some(list)),
            (Decimal256(38, 2), Some(Decimal128(38, 2))),
            (Decimal256(39, 2), None),
            (Decimal128(5, -1), None),
            (Time64(TimeUnit::Microsecond), None),
            (Interval(arrow::datatypes::IntervalUnit::MonthDayNano), None),
            (Duration(TimeUnit::Second), None),
        ];
        for (given, expected) in cases {
            assert_eq!(storable(&given).ok(), expected, "{given}");
        }
        let schema = Schema::new(vec![Field::new("at", Time32(TimeUnit::Second), true)]);
        let error = storable_schema(&schema).unwrap_err();
        assert_eq!(error.to_string(), "column \"at\" has type Time32(s), which delta tables cannot store");
    }
}
