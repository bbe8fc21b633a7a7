//! PostgreSQL's name for an Arrow type, as `format_type` and `pg_typeof` write it.

use arrow::datatypes::DataType;

const JSON: &str = "json";

/// PostgreSQL's `MAXDIM`.
const ARRAY_DIMENSIONS_MAX: usize = 6;

/// The PostgreSQL type in which a value of `data_type` reaches a client.
///
/// Unsigned integers take the next wider type, lists of any depth are one array type (PostgreSQL's arrays carry
/// their dimensions in the value; six at most). Structs, maps and unions travel as `json`, and so do lists of them.
pub fn pg_type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Null => "unknown",
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "numeric",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytea",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Duration(_) | DataType::Interval(_) => "interval",
        DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => JSON,
        DataType::Dictionary(_, value) => return pg_type_name(value),
        DataType::RunEndEncoded(_, values) => return pg_type_name(values.data_type()),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => return array_name(field.data_type(), 1),
    };
    name.to_string()
}

fn array_name(element: &DataType, dimensions: usize) -> String {
    match element {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => array_name(field.data_type(), dimensions + 1),
        // As PostgreSQL types ARRAY[NULL].
        DataType::Null => array_name(&DataType::Utf8, dimensions),
        _ => match pg_type_name(element) {
            name if name == JSON || dimensions > ARRAY_DIMENSIONS_MAX => JSON.to_string(),
            name => format!("{name}[]"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, Fields, TimeUnit};

    use super::*;

    #[test]
    fn names_are_those_of_format_type() {
        let list = |element| DataType::new_list(element, true);
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let fixed = DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Float32, true)), 3);
        for (data_type, name) in [
            (DataType::Null, "unknown"),
            (DataType::UInt8, "smallint"),
            (DataType::UInt64, "numeric"),
            (DataType::Decimal128(10, 2), "numeric"),
            (DataType::Timestamp(TimeUnit::Microsecond, None), "timestamp without time zone"),
            (DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), "timestamp with time zone"),
            (dictionary, "text"),
            (list(DataType::Float32), "real[]"),
            (fixed, "real[]"),
            (list(list(DataType::Int64)), "bigint[]"),
            (list(DataType::Null), "text[]"),
            (DataType::Struct(Fields::empty()), "json"),
            (list(DataType::Struct(Fields::empty())), "json"),
            (list(list(list(list(list(list(DataType::Int32)))))), "integer[]"),
            (list(list(list(list(list(list(list(DataType::Int32))))))), "json"),
        ] {
            assert_eq!(pg_type_name(&data_type), name, "{data_type}");
        }
    }
}
