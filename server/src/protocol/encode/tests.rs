//! The encoder against PostgreSQL's own output, and what it refuses.

/// Any batch at all: no panic, and what is written reads back the same.
mod random;

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::*;

use super::*;
use crate::protocol::decode;
use crate::protocol::settings::encode_options;

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
