//! Which PostgreSQL type an Arrow type is announced as, and which Arrow type a PostgreSQL type is read as.
//!
//! Only types built into PostgreSQL appear. What PostgreSQL lacks becomes the nearest wider type (`UInt64` and the
//! decimals are `numeric`, `Duration` is `interval`), and what has names inside (structs, maps, unions) is `json`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

pub const BOOL: u32 = 16;
pub const BYTEA: u32 = 17;
pub const NAME: u32 = 19;
pub const INT8: u32 = 20;
pub const INT2: u32 = 21;
pub const INT4: u32 = 23;
pub const TEXT: u32 = 25;
pub const OID: u32 = 26;
pub const JSON: u32 = 114;
pub const FLOAT4: u32 = 700;
pub const FLOAT8: u32 = 701;
pub const UNKNOWN: u32 = 705;
pub const BPCHAR: u32 = 1042;
pub const VARCHAR: u32 = 1043;
pub const DATE: u32 = 1082;
pub const TIME: u32 = 1083;
pub const TIMESTAMP: u32 = 1114;
pub const TIMESTAMPTZ: u32 = 1184;
pub const INTERVAL: u32 = 1186;
pub const NUMERIC: u32 = 1700;
pub const UUID: u32 = 2950;
pub const JSONB: u32 = 3802;

/// The greatest number of dimensions a PostgreSQL array has; deeper lists are announced as `json`.
pub const ARRAY_DIMENSIONS_MAX: usize = 6;

/// (element, array, size in bytes or -1, name) of each type this server speaks.
const TYPES: &[(u32, u32, i16, &str)] = &[
    (BOOL, 1000, 1, "boolean"),
    (BYTEA, 1001, -1, "bytea"),
    (NAME, 1003, 64, "name"),
    (INT8, 1016, 8, "bigint"),
    (INT2, 1005, 2, "smallint"),
    (INT4, 1007, 4, "integer"),
    (TEXT, 1009, -1, "text"),
    (OID, 1028, 4, "oid"),
    (JSON, 199, -1, "json"),
    (FLOAT4, 1021, 4, "real"),
    (FLOAT8, 1022, 8, "double precision"),
    (BPCHAR, 1014, -1, "character"),
    (VARCHAR, 1015, -1, "character varying"),
    (DATE, 1182, 4, "date"),
    (TIME, 1183, 8, "time"),
    (TIMESTAMP, 1115, 8, "timestamp"),
    (TIMESTAMPTZ, 1185, 8, "timestamp with time zone"),
    (INTERVAL, 1187, 16, "interval"),
    (NUMERIC, 1231, -1, "numeric"),
    (UUID, 2951, 16, "uuid"),
    (JSONB, 3807, -1, "jsonb"),
];

/// A PostgreSQL type as a RowDescription names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PgType {
    /// The type's OID.
    pub oid: u32,
    /// Bytes of a fixed-size type, -1 for a type of varying size.
    pub size: i16,
    /// The type modifier (precision and scale of `numeric`), -1 for none.
    pub modifier: i32,
}

impl PgType {
    fn plain(oid: u32) -> Self {
        let size = TYPES.iter().find(|entry| entry.0 == oid).map_or(-1, |entry| entry.2);
        Self { oid, size, modifier: -1 }
    }

    fn numeric(precision: u8, scale: i8) -> Self {
        // Four is the header size that PostgreSQL adds to every modifier; a negative scale takes eleven bits.
        let modifier = ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4;
        Self { oid: NUMERIC, size: -1, modifier }
    }
}

/// The PostgreSQL type that values of an Arrow type are announced and encoded as.
///
/// Lists of lists share the array type of their innermost elements, as PostgreSQL's arrays of several dimensions do.
/// Structs, maps and unions, lists of them, and lists nested more than six deep are `json`.
pub fn pg_type(data_type: &DataType) -> PgType {
    match data_type {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => PgType::plain(TEXT),
        DataType::Boolean => PgType::plain(BOOL),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgType::plain(INT2),
        DataType::Int32 | DataType::UInt16 => PgType::plain(INT4),
        DataType::Int64 | DataType::UInt32 => PgType::plain(INT8),
        DataType::UInt64 => PgType::plain(NUMERIC),
        DataType::Float16 | DataType::Float32 => PgType::plain(FLOAT4),
        DataType::Float64 => PgType::plain(FLOAT8),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => PgType::numeric(*precision, *scale),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            PgType::plain(BYTEA)
        }
        DataType::Date32 | DataType::Date64 => PgType::plain(DATE),
        DataType::Time32(_) | DataType::Time64(_) => PgType::plain(TIME),
        DataType::Timestamp(_, None) => PgType::plain(TIMESTAMP),
        DataType::Timestamp(_, Some(_)) => PgType::plain(TIMESTAMPTZ),
        DataType::Interval(_) | DataType::Duration(_) => PgType::plain(INTERVAL),
        DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) => PgType::plain(JSON),
        DataType::Dictionary(_, value) => pg_type(value),
        DataType::RunEndEncoded(_, value) => pg_type(value.data_type()),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(_, _)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => array_type(data_type),
    }
}

/// The Arrow type that a parameter of a PostgreSQL type is read as; `None` for a type left to inference (0, `unknown`)
/// or not spoken here.
///
/// A `numeric` has no fixed scale: its values arrive with their own, and this is the type planned with meanwhile.
pub fn arrow_type(oid: u32) -> Option<DataType> {
    let data_type = match oid {
        BOOL => DataType::Boolean,
        BYTEA => DataType::Binary,
        INT2 => DataType::Int16,
        INT4 => DataType::Int32,
        INT8 => DataType::Int64,
        OID => DataType::UInt32,
        TEXT | VARCHAR | BPCHAR | NAME | JSON | JSONB | UUID => DataType::Utf8,
        FLOAT4 => DataType::Float32,
        FLOAT8 => DataType::Float64,
        NUMERIC => DataType::Decimal128(38, 10),
        DATE => DataType::Date32,
        TIME => DataType::Time64(TimeUnit::Microsecond),
        TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => DataType::List(Arc::new(Field::new_list_field(arrow_type(element_oid(oid)?)?, true))),
    };
    Some(data_type)
}

/// The array type over an element type.
pub fn array_oid(element: u32) -> Option<u32> {
    TYPES.iter().find(|entry| entry.0 == element).map(|entry| entry.1)
}

/// The element type of an array type.
pub fn element_oid(array: u32) -> Option<u32> {
    TYPES.iter().find(|entry| entry.1 == array).map(|entry| entry.0)
}

/// The name that error messages give a type.
pub(crate) fn type_name(oid: u32) -> &'static str {
    TYPES.iter().find(|entry| entry.0 == oid).map_or("unknown", |entry| entry.3)
}

/// The element type of a list type, whatever its layout.
pub(crate) fn list_element(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => Some(field.data_type()),
        _ => None,
    }
}

fn array_type(data_type: &DataType) -> PgType {
    let mut leaf = data_type;
    let mut dimensions = 0;
    while let Some(element) = list_element(leaf) {
        leaf = element;
        dimensions += 1;
    }
    let element = pg_type(leaf);
    match array_oid(element.oid) {
        Some(oid) if element.oid != JSON && dimensions <= ARRAY_DIMENSIONS_MAX => {
            PgType { oid, size: -1, modifier: element.modifier }
        }
        _ => PgType::plain(JSON),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(element: DataType) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(element, true)))
    }

    #[test]
    fn arrow_types_are_announced_as_built_in_types() {
        assert_eq!(pg_type(&DataType::Int32), PgType { oid: 23, size: 4, modifier: -1 });
        assert_eq!(pg_type(&DataType::UInt64), PgType { oid: 1700, size: -1, modifier: -1 });
        assert_eq!(pg_type(&DataType::Decimal128(10, 2)), PgType { oid: 1700, size: -1, modifier: 655366 });
        assert_eq!(pg_type(&DataType::Decimal128(2, -3)).modifier, ((2 << 16) | 2045) + 4);
        assert_eq!(pg_type(&list(list(DataType::Int64))).oid, 1016);
        assert_eq!(pg_type(&list(DataType::Null)).oid, 1009);
        let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
        assert_eq!(pg_type(&list(dictionary)).oid, 1009);
        assert_eq!(pg_type(&list(DataType::Struct(Default::default()))).oid, JSON);
        let seven_deep = (0..7).fold(DataType::Int32, |inner, _| list(inner));
        assert_eq!(pg_type(&seven_deep).oid, JSON);
    }

    #[test]
    fn every_readable_type_is_announced_with_a_readable_type() {
        for oid in TYPES.iter().flat_map(|entry| [entry.0, entry.1]) {
            let data_type = arrow_type(oid).unwrap();
            assert!(arrow_type(pg_type(&data_type).oid).is_some(), "{oid}");
        }
        assert_eq!(arrow_type(0), None);
        assert_eq!(arrow_type(600), None);
    }
}
