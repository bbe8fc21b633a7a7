//! The encoder against itself: random batches of every type.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use datafusion_common::ScalarValue;

use super::*;
use crate::protocol::time_zone::TimeZone;

/// A small generator of reproducible numbers (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn number(&mut self) -> i64 {
        let shift = self.below(64) as u32;
        (self.next() as i64).wrapping_shr(shift)
    }

    fn text(&mut self) -> String {
        const PIECES: &[&str] =
            &["a", "NULL", "\"", "\\", "{", ",", " ", "é", "☃", "\n", "\t", "'", "1", "\u{7f}", "\u{1}"];
        (0..self.below(6)).map(|_| PIECES[self.below(PIECES.len() as u64) as usize]).collect()
    }
}

/// Every type without children.
fn plain_types() -> Vec<DataType> {
    use DataType::*;
    use TimeUnit::*;
    let units = [Second, Millisecond, Microsecond, Nanosecond];
    let mut types = vec![
        Null,
        Boolean,
        Int8,
        Int16,
        Int32,
        Int64,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float16,
        Float32,
        Float64,
        Utf8,
        LargeUtf8,
        Utf8View,
        Binary,
        LargeBinary,
        BinaryView,
        FixedSizeBinary(3),
        FixedSizeBinary(0),
        Date32,
        Date64,
        Time32(Second),
        Time32(Millisecond),
        Time64(Microsecond),
        Time64(Nanosecond),
        Decimal32(9, 2),
        Decimal64(18, 0),
        Decimal128(38, 10),
        Decimal128(5, -3),
        Decimal256(76, 40),
        Decimal256(40, 0),
        Interval(IntervalUnit::YearMonth),
        Interval(IntervalUnit::DayTime),
        Interval(IntervalUnit::MonthDayNano),
    ];
    types.extend(units.iter().map(|unit| Timestamp(*unit, None)));
    types.extend(units.iter().map(|unit| Timestamp(*unit, Some("Europe/Berlin".into()))));
    types.extend(units.iter().map(|unit| Duration(*unit)));
    types
}

fn random_type(chance: &mut Chance, depth: usize) -> DataType {
    let plain = plain_types();
    if depth == 0 || chance.below(3) == 0 {
        return plain[chance.below(plain.len() as u64) as usize].clone();
    }
    let inner = random_type(chance, depth - 1);
    let field = Arc::new(Field::new_list_field(inner.clone(), true));
    match chance.below(9) {
        0 => DataType::List(field),
        1 => DataType::LargeList(field),
        2 => DataType::FixedSizeList(field, chance.below(3) as i32),
        3 => DataType::ListView(field),
        4 => DataType::LargeListView(field),
        5 => DataType::Struct(
            vec![Field::new("a", inner, true), Field::new("b \"", random_type(chance, depth - 1), true)].into(),
        ),
        6 => {
            let key = Field::new("keys", DataType::Utf8, false);
            let entries = DataType::Struct(vec![key, Field::new("values", inner, true)].into());
            DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
        }
        7 => DataType::Dictionary(Box::new(DataType::Int16), Box::new(plain[chance.below(20) as usize].clone())),
        _ => DataType::RunEndEncoded(
            Arc::new(Field::new("run_ends", DataType::Int32, false)),
            Arc::new(Field::new("values", inner, true)),
        ),
    }
}

/// An array of any bits: `wild` ones, or such as PostgreSQL can represent.
fn random_array(chance: &mut Chance, data_type: &DataType, len: usize, wild: bool) -> ArrayRef {
    use DataType::*;
    let nulls: Option<NullBuffer> = (chance.below(3) > 0).then(|| (0..len).map(|_| chance.below(4) > 0).collect());
    let nulls_of = |nulls: Option<NullBuffer>| nulls;
    let values: Vec<i64> = (0..len).map(|_| bounded(chance.number(), data_type, wild)).collect();
    macro_rules! primitive {
        ($type:ty, $convert:expr) => {{
            let values = values.iter().map($convert).collect::<ScalarBuffer<_>>();
            Arc::new(PrimitiveArray::<$type>::new(values, nulls_of(nulls)).with_data_type(data_type.clone()))
                as ArrayRef
        }};
    }
    let offsets = |chance: &mut Chance| {
        OffsetBuffer::from_lengths((0..len).map(|_| chance.below(4) as usize).collect::<Vec<_>>())
    };
    match data_type {
        Null => Arc::new(NullArray::new(len)),
        Boolean => Arc::new(BooleanArray::new(values.iter().map(|value| value % 2 == 0).collect(), nulls)),
        Int8 => primitive!(Int8Type, |value| *value as i8),
        Int16 => primitive!(Int16Type, |value| *value as i16),
        Int32 => primitive!(Int32Type, |value| *value as i32),
        Int64 => primitive!(Int64Type, |value| *value),
        UInt8 => primitive!(UInt8Type, |value| *value as u8),
        UInt16 => primitive!(UInt16Type, |value| *value as u16),
        UInt32 => primitive!(UInt32Type, |value| *value as u32),
        UInt64 => primitive!(UInt64Type, |value| *value as u64),
        Float16 => primitive!(Float16Type, |value| half::f16::from_bits(*value as u16)),
        Float32 => primitive!(Float32Type, |value| f32::from_bits(*value as u32)),
        Float64 => primitive!(Float64Type, |value| f64::from_bits(*value as u64)),
        Decimal32(_, _) => primitive!(Decimal32Type, |value| *value as i32),
        Decimal64(_, _) => primitive!(Decimal64Type, |value| *value),
        Decimal128(precision, _) => {
            primitive!(Decimal128Type, |value| i128::from(*value) * if *precision > 20 { 1_000_000_007 } else { 1 })
        }
        Decimal256(_, _) => primitive!(Decimal256Type, |value| {
            let square = i256::from_i128(i128::from(*value) * i128::from(*value));
            if wild { square.wrapping_mul(square) } else { square }
        }),
        Date32 => primitive!(Date32Type, |value| *value as i32),
        Date64 => primitive!(Date64Type, |value| *value),
        Time32(TimeUnit::Second) => primitive!(Time32SecondType, |value| *value as i32),
        Time32(_) => primitive!(Time32MillisecondType, |value| *value as i32),
        Time64(TimeUnit::Nanosecond) => primitive!(Time64NanosecondType, |value| *value),
        Time64(_) => primitive!(Time64MicrosecondType, |value| *value),
        Timestamp(TimeUnit::Second, _) => primitive!(TimestampSecondType, |value| *value),
        Timestamp(TimeUnit::Millisecond, _) => primitive!(TimestampMillisecondType, |value| *value),
        Timestamp(TimeUnit::Microsecond, _) => primitive!(TimestampMicrosecondType, |value| *value),
        Timestamp(TimeUnit::Nanosecond, _) => primitive!(TimestampNanosecondType, |value| *value),
        Duration(TimeUnit::Second) => primitive!(DurationSecondType, |value| *value),
        Duration(TimeUnit::Millisecond) => primitive!(DurationMillisecondType, |value| *value),
        Duration(TimeUnit::Microsecond) => primitive!(DurationMicrosecondType, |value| *value),
        Duration(TimeUnit::Nanosecond) => primitive!(DurationNanosecondType, |value| *value),
        Interval(IntervalUnit::YearMonth) => primitive!(IntervalYearMonthType, |value| *value as i32),
        Interval(IntervalUnit::DayTime) => {
            primitive!(IntervalDayTimeType, |value| IntervalDayTime::new(*value as i32, (*value >> 7) as i32))
        }
        Interval(IntervalUnit::MonthDayNano) => primitive!(
            IntervalMonthDayNanoType,
            |value| IntervalMonthDayNano::new(*value as i32, (*value >> 9) as i32, *value)
        ),
        Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView => {
            let texts = StringArray::from_iter(
                (0..len).map(|row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)).then(|| chance.text())),
            );
            let texts: ArrayRef = Arc::new(texts);
            let binary = arrow::compute::cast(&texts, &Binary).unwrap();
            let from = if matches!(data_type, Utf8 | LargeUtf8 | Utf8View) { &texts } else { &binary };
            arrow::compute::cast(from, data_type).unwrap()
        }
        FixedSizeBinary(size) => {
            let bytes: Vec<u8> = (0..len * *size as usize).map(|_| chance.next() as u8).collect();
            Arc::new(FixedSizeBinaryArray::try_new_with_len(*size, bytes.into(), nulls, len).unwrap())
        }
        List(field) => {
            let offsets = offsets(chance);
            let values = random_array(chance, field.data_type(), offsets.last().copied().unwrap() as usize, wild);
            Arc::new(ListArray::new(field.clone(), offsets, values, nulls))
        }
        LargeList(field) => {
            let offsets = offsets(chance);
            let values = random_array(chance, field.data_type(), offsets.last().copied().unwrap() as usize, wild);
            let offsets = OffsetBuffer::new(offsets.iter().map(|offset| i64::from(*offset)).collect());
            Arc::new(LargeListArray::new(field.clone(), offsets, values, nulls))
        }
        FixedSizeList(field, size) => {
            let values = random_array(chance, field.data_type(), len * *size as usize, wild);
            Arc::new(FixedSizeListArray::try_new_with_length(field.clone(), *size, values, nulls, len).unwrap())
        }
        ListView(field) => {
            // Overlapping views, in no order.
            let values = random_array(chance, field.data_type(), 8, wild);
            let sizes: Vec<i32> = (0..len).map(|_| chance.below(4) as i32).collect();
            let starts: Vec<i32> = sizes.iter().map(|size| chance.below(9 - *size as u64) as i32).collect();
            Arc::new(ListViewArray::new(field.clone(), starts.into(), sizes.into(), values, nulls))
        }
        LargeListView(field) => {
            let values = random_array(chance, field.data_type(), 8, wild);
            let sizes: Vec<i64> = (0..len).map(|_| chance.below(4) as i64).collect();
            let starts: Vec<i64> = sizes.iter().map(|size| chance.below(9 - *size as u64) as i64).collect();
            Arc::new(LargeListViewArray::new(field.clone(), starts.into(), sizes.into(), values, nulls))
        }
        Struct(fields) => {
            let columns = fields.iter().map(|field| random_array(chance, field.data_type(), len, wild)).collect();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, len).unwrap())
        }
        Map(entries, sorted) => {
            let offsets = offsets(chance);
            let count = offsets.last().copied().unwrap() as usize;
            let Struct(fields) = entries.data_type() else { unreachable!() };
            let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|_| chance.text())));
            let values = random_array(chance, fields[1].data_type(), count, wild);
            let entry_values = StructArray::new(fields.clone(), vec![keys, values], None);
            Arc::new(MapArray::new(entries.clone(), offsets, entry_values, nulls, *sorted))
        }
        Dictionary(_, value) => {
            let values = random_array(chance, value, 3, wild);
            let keys = Int16Array::new((0..len).map(|_| chance.below(3) as i16).collect(), nulls);
            Arc::new(DictionaryArray::new(keys, values))
        }
        RunEndEncoded(_, field) => {
            let run_ends =
                Int32Array::from_iter_values((1..=len as i32).filter(|end| end % 2 == 0 || *end == len as i32));
            let values = random_array(chance, field.data_type(), run_ends.len(), wild);
            Arc::new(RunArray::<Int32Type>::try_new(&run_ends, &values).unwrap())
        }
        other => panic!("no generator for {other}"),
    }
}

/// A number that the type and PostgreSQL can both hold.
fn bounded(value: i64, data_type: &DataType, wild: bool) -> i64 {
    if wild {
        return value;
    }
    match data_type {
        DataType::Date32 => value % 1_000_000,
        DataType::Date64 => value % 1_000_000 * 86_400_000,
        DataType::Time32(TimeUnit::Second) => value.rem_euclid(86_400),
        DataType::Time32(_) => value.rem_euclid(86_400_000),
        DataType::Time64(TimeUnit::Nanosecond) => value.rem_euclid(86_400_000_000) * 1_000,
        DataType::Time64(_) => value.rem_euclid(86_400_000_000),
        DataType::Timestamp(TimeUnit::Second, _) => value % 60_000_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => value % 60_000_000_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => value % 60_000_000_000_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => value / 1_000 * 1_000,
        DataType::Interval(IntervalUnit::MonthDayNano) => value / 1_000 * 1_000,
        DataType::Duration(TimeUnit::Second) => value % 9_000_000_000,
        DataType::Duration(TimeUnit::Millisecond) => value % 9_000_000_000_000,
        DataType::Duration(TimeUnit::Microsecond) => value % 9_000_000_000_000_000,
        DataType::Duration(TimeUnit::Nanosecond) => value / 1_000 * 1_000,
        DataType::Decimal32(_, _) => value % 1_000_000_000,
        DataType::Decimal128(5, _) => value % 100_000,
        DataType::Decimal64(_, _) => value % 1_000_000_000_000_000_000,
        _ => value,
    }
}

#[test]
fn no_batch_makes_the_encoder_panic() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let options = EncodeOptions { time_zone: "America/New_York".parse().unwrap(), ..EncodeOptions::default() };
    for round in 0..3_000 {
        let data_type = random_type(&mut chance, 1 + round % 4);
        let array = random_array(&mut chance, &data_type, 9, round % 2 == 0);
        let nulls = array.logical_nulls();
        for array in [array.clone(), array.slice(2, 5)] {
            for format in [Format::Text, Format::Binary] {
                let Ok(fields) = encode(array.clone(), format, &options) else { continue };
                assert_eq!(fields.len(), array.len());
                if array.len() == 9 {
                    let null = |row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                    assert!((0..9).all(|row| fields[row].is_none() == null(row)), "{data_type}");
                }
                if pg_type(&data_type).oid == crate::protocol::types::JSON {
                    for field in fields.into_iter().flatten() {
                        let read = serde_json::from_slice::<serde_json::Value>(&field);
                        assert!(read.is_ok(), "{data_type}: {}", String::from_utf8_lossy(&field));
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_written_reads_back_the_same() {
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let options = EncodeOptions { time_zone: TimeZone::default(), ..EncodeOptions::default() };
    let mut types = plain_types();
    // An array of intervals keeps its general kind, whatever kind of interval is wanted.
    let narrow = |element: &DataType| {
        matches!(element, DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime) | DataType::Duration(_))
    };
    let elements = types.iter().filter(|element| !narrow(element));
    let lists: Vec<DataType> =
        elements.map(|element| DataType::List(Arc::new(Field::new_list_field(element.clone(), true)))).collect();
    types.extend(lists);
    for data_type in types.iter().filter(|data_type| **data_type != DataType::Null) {
        for format in [Format::Text, Format::Binary] {
            let array = random_array(&mut chance, data_type, 40, false);
            let fields = encode(array.clone(), format, &options).unwrap();
            for (row, field) in fields.iter().enumerate() {
                let expected = ScalarValue::try_from_array(&array, row).unwrap();
                let read = decode::parameter(field.as_deref(), format, 0, data_type, &options.time_zone);
                let read = read.unwrap_or_else(|error| panic!("{data_type} {expected:?} {field:?}: {error:?}"));
                let nan = matches!(expected, ScalarValue::Float16(Some(value)) if value.is_nan())
                    || matches!(expected, ScalarValue::Float32(Some(value)) if value.is_nan())
                    || matches!(expected, ScalarValue::Float64(Some(value)) if value.is_nan());
                let same = read == expected || nan || format!("{read:?}") == format!("{expected:?}");
                assert!(same, "{data_type} {format:?}: {expected:?} came back as {read:?}");
            }
        }
    }
}
