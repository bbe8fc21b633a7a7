//! The encoder against PostgreSQL's own output, and against itself: what is written reads back the same.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use datafusion_common::ScalarValue;

use super::*;
use crate::protocol::decode;
use crate::protocol::settings::encode_options;
use crate::protocol::time_zone::TimeZone;

/// Encodes one column and takes the messages apart again.
fn encode(array: ArrayRef, format: Format, options: &EncodeOptions) -> Result<Vec<Option<Vec<u8>>>> {
    let schema = Arc::new(Schema::new(vec![Field::new("v", array.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(schema.clone(), vec![array]).unwrap();
    let mut out = BytesMut::new();
    let encoder = RowEncoder::new(&schema, &[format], options)?;
    encoder.encode(&batch, 0..batch.num_rows(), &mut out)?;
    let mut fields = Vec::new();
    let mut rest = &out[..];
    while let [b'D', a, b, c, d, 0, 1, e, f, g, h, after @ ..] = rest {
        let message = i32::from_be_bytes([*a, *b, *c, *d]);
        let length = i32::from_be_bytes([*e, *f, *g, *h]);
        let value = usize::try_from(length).ok().map(|length| after[..length].to_vec());
        let taken = value.as_ref().map_or(0, Vec::len);
        assert_eq!(message as usize, 10 + taken);
        fields.push(value);
        rest = &after[taken..];
    }
    assert!(rest.is_empty());
    Ok(fields)
}

fn text_of(array: ArrayRef) -> Vec<String> {
    let fields = encode(array, Format::Text, &EncodeOptions::default()).unwrap();
    fields.into_iter().map(|field| field.map_or("NULL".into(), |field| String::from_utf8(field).unwrap())).collect()
}

fn options_of(setting: &str) -> EncodeOptions {
    encode_options(|name| {
        let value = match (name, setting) {
            ("TimeZone", zone) if zone.contains('/') => zone,
            ("IntervalStyle", style) if style.contains('_') && !style.contains('/') => style,
            ("extra_float_digits", digits) if digits != "-" && digits.parse::<i32>().is_ok() => digits,
            ("bytea_output", "escape") => setting,
            _ => return None,
        };
        Some(value.to_owned())
    })
    .unwrap()
}

/// Each line of the file: type OID, setting, and PostgreSQL's binary, text and JSON form of one value.
#[test]
fn values_are_written_and_read_as_postgres_writes_and_reads_them() {
    let mut count = 0;
    for line in include_str!("golden/postgres.tsv").lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [oid, setting, hex, text, json] = columns[..] else { panic!("{line}") };
        let (text, json) = (text.replace("<TAB>", "\t"), json.replace("<TAB>", "\t"));
        let oid: u32 = oid.parse().unwrap();
        let options = options_of(setting);
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let read = |bytes: &[u8], format| {
            decode::parameter(Some(bytes), format, oid, &DataType::Null, &options.time_zone).expect(line)
        };
        let value = read(&bytes, Format::Binary);
        // Less than all digits don't read back; a style of SQL's own reads its signs otherwise.
        if !matches!(setting, "0" | "-5" | "-15" | "sql_standard") {
            assert_eq!(read(text.as_bytes(), Format::Text), value, "{line}");
        }
        let array = value.to_array().unwrap();
        let written =
            |array: &ArrayRef, format| encode(array.clone(), format, &options).expect(line)[0].clone().unwrap();
        assert_eq!(String::from_utf8_lossy(&written(&array, Format::Text)), text, "{line}");
        let announced = pg_type(array.data_type()).oid;
        assert_eq!(announced, oid, "{line}");
        assert_eq!(written(&array, Format::Binary), bytes, "{line}");
        let field = Arc::new(Field::new("v", array.data_type().clone(), true));
        let object: ArrayRef = Arc::new(StructArray::from(vec![(field, array)]));
        assert_eq!(String::from_utf8_lossy(&written(&object, Format::Text)), format!("{{\"v\":{json}}}"), "{line}");
        count += 1;
    }
    assert!(count > 1_500);
}

#[test]
fn structs_maps_and_unions_are_json() {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a\"\n\u{1}"), None]));
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 1.5]));
    let object = StructArray::from(vec![
        (Arc::new(Field::new("na\"me", DataType::Utf8, true)), names),
        (Arc::new(Field::new("n", DataType::Float64, true)), numbers),
    ]);
    assert_eq!(
        text_of(Arc::new(object.clone())),
        [r#"{"na\"me":"a\"\n\u0001","n":"NaN"}"#, r#"{"na\"me":null,"n":1.5}"#]
    );
    let field = Arc::new(Field::new_list_field(object.data_type().clone(), true));
    let list = ListArray::new(field, OffsetBuffer::from_lengths([2]), Arc::new(object), None);
    assert_eq!(text_of(Arc::new(list)), [r#"[{"na\"me":"a\"\n\u0001","n":"NaN"},{"na\"me":null,"n":1.5}]"#]);

    let mut map = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    map.keys().append_value(1);
    map.values().append_value("x");
    map.keys().append_value(2);
    map.values().append_null();
    map.append(true).unwrap();
    map.append(true).unwrap();
    map.append(false).unwrap();
    assert_eq!(text_of(Arc::new(map.finish())), [r#"{"1":"x","2":null}"#, "{}", "NULL"]);

    let mut union = UnionBuilder::new_dense();
    union.append::<Int32Type>("number", 1).unwrap();
    union.append::<Float64Type>("ratio", 0.5).unwrap();
    union.append_null::<Int32Type>("number").unwrap();
    let union = text_of(Arc::new(union.build().unwrap()));
    assert_eq!(union[..2], [r#"{"number":1}"#, r#"{"ratio":0.5}"#]);
    assert!(["NULL", r#"{"number":null}"#].contains(&union[2].as_str()));
}

fn nested(rows: &[&[Option<&[i32]>]]) -> ArrayRef {
    let mut builder = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    for row in rows {
        for inner in *row {
            match inner {
                Some(inner) => builder.values().append_value(inner.iter().map(|value| Some(*value))),
                None => builder.values().append_null(),
            }
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

#[test]
fn ragged_lists_have_a_text_and_no_binary_form() {
    let array = nested(&[&[Some(&[1, 2]), Some(&[3])], &[Some(&[]), None], &[]]);
    assert_eq!(text_of(array.clone()), ["{{1,2},{3}}", "{{},NULL}", "{}"]);
    let error = encode(array.slice(0, 1), Format::Binary, &EncodeOptions::default()).unwrap_err();
    assert_eq!(error.kind, Kind::RaggedArray);
    let error = encode(nested(&[&[None]]), Format::Binary, &EncodeOptions::default()).unwrap_err();
    assert_eq!(error.kind, Kind::RaggedArray);
    assert_eq!(
        encode(array.slice(2, 1), Format::Binary, &EncodeOptions::default()).unwrap()[0].as_ref().unwrap().len(),
        12
    );
}

#[test]
fn what_postgres_cannot_represent_is_an_error_and_leaves_whole_messages() {
    let options = EncodeOptions::default();
    let far: Vec<(ArrayRef, Kind)> = vec![
        (Arc::new(Date32Array::from(vec![0, i32::MAX])), Kind::DateTimeOutOfRange),
        (Arc::new(Date32Array::from(vec![0, i32::MIN])), Kind::DateTimeOutOfRange),
        (Arc::new(Date64Array::from(vec![0, i64::MAX])), Kind::DateTimeOutOfRange),
        (Arc::new(TimestampSecondArray::from(vec![0, i64::MAX])), Kind::DateTimeOutOfRange),
        (Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MIN])), Kind::DateTimeOutOfRange),
        (Arc::new(TimestampMillisecondArray::from(vec![0, i64::MIN]).with_timezone("UTC")), Kind::DateTimeOutOfRange),
        (Arc::new(Time64MicrosecondArray::from(vec![0, -1])), Kind::DateTimeOutOfRange),
        (Arc::new(Time32SecondArray::from(vec![0, 86_401])), Kind::DateTimeOutOfRange),
        (Arc::new(DurationSecondArray::from(vec![0, i64::MAX])), Kind::DateTimeOutOfRange),
    ];
    for (array, kind) in far {
        let schema = Arc::new(Schema::new(vec![Field::new("v", array.data_type().clone(), true)]));
        let batch = RecordBatch::try_new(schema.clone(), vec![array]).unwrap();
        for format in [Format::Text, Format::Binary] {
            let mut out = BytesMut::new();
            let encoder = RowEncoder::new(&schema, &[format], &options).unwrap();
            assert_eq!(encoder.encode(&batch, 0..2, &mut out).unwrap_err().kind, kind);
            assert_eq!(u32::from_be_bytes([out[1], out[2], out[3], out[4]]) as usize, out.len() - 1);
        }
    }
    let seconds: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![i64::MIN, i64::MAX, -1]));
    assert_eq!(
        text_of(seconds),
        ["1677-09-21 00:12:43.145224", "2262-04-11 23:47:16.854775", "1969-12-31 23:59:59.999999"]
    );
}

#[test]
fn rows_are_written_in_pieces_of_bounded_size() {
    let schema = Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)]);
    let numbers = Int32Array::from_iter((0..1_000).map(|value| (value % 7 != 0).then_some(value)));
    let texts = StringArray::from_iter((0..1_000).map(|value| Some("x".repeat(value % 50))));
    let batch = RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(numbers), Arc::new(texts)]).unwrap();
    let encoder = RowEncoder::new(&schema, &[], &EncodeOptions::default()).unwrap();
    let mut whole = BytesMut::new();
    encoder.encode(&batch, 0..1_000, &mut whole).unwrap();
    let (bound, mut pieces, mut row) = (encoder.bind(&batch).unwrap(), BytesMut::new(), 0);
    while row < bound.rows() {
        let mut out = BytesMut::new();
        row = bound.encode(row..bound.rows(), 4_096, &mut out).unwrap();
        assert!(out.len() < 4_096 + 80);
        pieces.extend_from_slice(&out);
    }
    assert_eq!(pieces, whole);
    assert!(bound.encode(0..1_001, usize::MAX, &mut pieces).is_err());
    assert!(RowEncoder::new(&schema, &[Format::Text; 3], &EncodeOptions::default()).is_err());
}

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
