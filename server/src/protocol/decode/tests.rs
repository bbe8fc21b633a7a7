//! Parameters as clients send them, right and wrong.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion_common::ScalarValue;

use super::*;
use crate::protocol::types::*;

fn read(text: &str, oid: u32, wanted: &DataType) -> Result<ScalarValue> {
    let zone = "America/New_York".parse().unwrap();
    parameter(Some(text.as_bytes()), Format::Text, oid, wanted, &zone)
}

fn read_binary(bytes: &[u8], oid: u32) -> Result<ScalarValue> {
    parameter(Some(bytes), Format::Binary, oid, &DataType::Null, &TimeZone::default())
}

fn check(oid: u32, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let value = read(text, oid, &DataType::Null).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(value.to_string(), *expected, "{text}");
    }
}

fn refused(oid: u32, kind: Kind, texts: &[&str]) {
    for text in texts {
        let error = read(text, oid, &DataType::Null).err().unwrap_or_else(|| panic!("{text:?} was accepted"));
        assert_eq!(error.kind, kind, "{text:?}: {error}");
    }
}

#[test]
fn texts_of_each_type() {
    check(BOOL, &[("t", "true"), (" FALSE ", "false"), ("on", "true"), ("of", "false"), ("1", "true"), ("n", "false")]);
    check(INT4, &[("12", "12"), (" -7 ", "-7"), ("+3", "3")]);
    check(OID, &[("4294967295", "4294967295"), ("-1", "4294967295")]);
    check(FLOAT8, &[("1e3", "1000"), (".5", "0.5"), ("infinity", "inf"), ("NaN", "NaN"), ("0e999", "0")]);
    check(UUID, &[("{A0EEBC99-9C0B4EF8-BB6D6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]);
    check(JSON, &[("{\"a\": [1, null]}", "{\"a\": [1, null]}")]);
    check(DATE, &[("20240229", "2024-02-29"), ("2024/2/9", "2024-02-09"), ("2024-02-09 23:00+05", "2024-02-09")]);
    refused(BOOL, Kind::InvalidText, &["", "o", "2", "tr ue"]);
    refused(INT2, Kind::InvalidText, &["", "1.5", "0x10", "1 2", "one"]);
    refused(INT2, Kind::NumberOutOfRange, &["32768", "-40000"]);
    refused(FLOAT8, Kind::InvalidText, &["", "1,5", "--1"]);
    refused(FLOAT8, Kind::NumberOutOfRange, &["1e400", "-1e400", "1e-400"]);
    refused(
        UUID,
        Kind::InvalidText,
        &["", "a0", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g", "{a0eebc999c0b4ef8bb6d6bb9bd380a11"],
    );
    refused(JSON, Kind::InvalidText, &["", "{", "{a:1}"]);
    refused(BYTEA, Kind::InvalidText, &["\\x0", "\\xzz", "\\9", "\\"]);
    refused(TEXT, Kind::InvalidEncoding, &["a\0b"]);
    refused(600, Kind::Unsupported, &["(1,2)"]);
}

#[test]
fn moments() {
    let timestamps = [
        ("2024-02-29 12:34:56.1234567", "2024-02-29 12:34:56.123457"),
        ("2024-02-29T12:34Z", "2024-02-29 12:34:00"),
        ("20240229 12:34:56", "2024-02-29 12:34:56"),
        ("2024-02-29", "2024-02-29 00:00:00"),
        ("2023-12-31 24:00:00", "2024-01-01 00:00:00"),
        ("epoch", "1970-01-01 00:00:00"),
    ];
    for (text, expected) in timestamps {
        assert_eq!(datetime::timestamp(text).unwrap(), datetime::timestamp(expected).unwrap(), "{text}");
    }
    let zone: TimeZone = "America/New_York".parse().unwrap();
    for (text, utc) in [
        ("2024-07-01 12:00:00", "2024-07-01 16:00:00"),
        ("2024-07-01 12:00:00Z", "2024-07-01 12:00:00"),
        ("2024-07-01 12:00:00+0530", "2024-07-01 06:30:00"),
        ("2024-07-01 12:00:00-04:56:02", "2024-07-01 16:56:02"),
        ("2024-07-01 12:00:00 Europe/Berlin", "2024-07-01 10:00:00"),
    ] {
        let read = datetime::timestamp_with_zone(text, &zone).unwrap();
        assert_eq!(read, datetime::timestamp(utc).unwrap(), "{text}");
    }
    refused(
        TIMESTAMP,
        Kind::InvalidDateTime,
        &["", "now", "2024", "2024-01", "24-01-01", "2024-01-01 12", "2024-01-01x"],
    );
    refused(
        TIMESTAMP,
        Kind::DateTimeOutOfRange,
        &["2024-02-30", "2023-02-29", "2024-13-01", "0000-01-01", "2024-01-01 25:00"],
    );
    refused(TIMESTAMP, Kind::DateTimeOutOfRange, &["infinity", "-infinity", "300000-01-01", "5000-01-01 BC"]);
    refused(TIMESTAMPTZ, Kind::InvalidArgument, &["2024-01-01 12:00 Mars/Base"]);
    refused(DATE, Kind::DateTimeOutOfRange, &["infinity", "9999999-01-01"]);
    refused(TIME, Kind::DateTimeOutOfRange, &["24:00:00", "12:60", "24:00:01"]);
    refused(TIME, Kind::InvalidDateTime, &["", "12", "noon", "12:00 pm pm!"]);
}

#[test]
fn intervals() {
    let cases = [
        ("1 year 2 mons -3 days +04:05:06.789", (14, -3, 14_706_789_000)),
        ("@ 1 year 2 mons 3 days ago", (-14, -3, 0)),
        ("1-2 3 4:05:06", (14, 3, 14_706_000_000)),
        ("P1Y2M3DT4H5M6.789S", (14, 3, 14_706_789_000)),
        ("P-1Y2M", (-10, 0, 0)),
        ("PT0S", (0, 0, 0)),
        ("1.5 years", (18, 0, 0)),
        ("1.5 mons", (1, 15, 0)),
        ("1.5 days", (0, 1, 43_200_000_000)),
        ("2 weeks 1.5h 90s", (0, 14, 5_490_000_000)),
        ("90", (0, 0, 90_000_000)),
        ("-00:00:00.5", (0, 0, -500_000)),
    ];
    for (text, expected) in cases {
        assert_eq!(interval::parse(text).unwrap(), expected, "{text}");
    }
    refused(
        INTERVAL,
        Kind::InvalidDateTime,
        &["", "@", "P", "PT", "1 fortnight", "1 year x", "1:2:3:4", "1:99", "ago", "P1X"],
    );
    refused(
        INTERVAL,
        Kind::DateTimeOutOfRange,
        &["9999999999 years", "999999 hours 99999999999999 s", "300 years 99999999999 s"],
    );
}

#[test]
fn numerics_keep_their_digits() {
    let decimal = |text: &str| read(text, NUMERIC, &DataType::Null);
    assert_eq!(decimal("1.50").unwrap(), ScalarValue::Decimal128(Some(150), 3, 2));
    assert_eq!(decimal("-1.5e3").unwrap(), ScalarValue::Decimal128(Some(-1_500), 4, 0));
    assert_eq!(decimal("0.001").unwrap(), ScalarValue::Decimal128(Some(1), 3, 3));
    assert_eq!(decimal("0e99").unwrap(), ScalarValue::Decimal128(Some(0), 1, 0));
    assert!(matches!(decimal(&"9".repeat(76)).unwrap(), ScalarValue::Decimal256(Some(_), 76, 0)));
    refused(NUMERIC, Kind::NumberOutOfRange, &["1e76", "1e-77", "NaN", "infinity", "1e2000000000", &"9".repeat(77)]);
    refused(NUMERIC, Kind::InvalidText, &["", ".", "1e", "1.2.3", "1e99999999999", "e5", "+-1"]);
    assert_eq!(read("NaN", NUMERIC, &DataType::Float64).unwrap().to_string(), "NaN");
    assert_eq!(read("1.25", NUMERIC, &DataType::Float64).unwrap(), ScalarValue::Float64(Some(1.25)));
}

#[test]
fn values_take_the_wanted_type_only_where_nothing_is_lost() {
    let wanted = [
        ("5", INT8, DataType::Int32, ScalarValue::Int32(Some(5))),
        ("5000000000", INT8, DataType::Int32, ScalarValue::Int64(Some(5_000_000_000))),
        ("1.5", FLOAT8, DataType::Float32, ScalarValue::Float32(Some(1.5))),
        ("0.1", FLOAT8, DataType::Float32, ScalarValue::Float64(Some(0.1))),
        ("1.5", NUMERIC, DataType::Decimal128(10, 2), ScalarValue::Decimal128(Some(150), 10, 2)),
        ("1.255", NUMERIC, DataType::Decimal128(10, 2), ScalarValue::Decimal128(Some(1255), 4, 3)),
        ("7", INT4, DataType::Timestamp(TimeUnit::Second, None), ScalarValue::Int32(Some(7))),
        (
            "2024-01-01",
            DATE,
            DataType::Timestamp(TimeUnit::Second, None),
            ScalarValue::TimestampSecond(Some(1_704_067_200), None),
        ),
        ("x", VARCHAR, DataType::Utf8View, ScalarValue::Utf8View(Some("x".into()))),
        ("42", TEXT, DataType::Int64, ScalarValue::Int64(Some(42))),
        ("42", 0, DataType::UInt8, ScalarValue::UInt8(Some(42))),
        ("42", 0, DataType::Null, ScalarValue::Utf8(Some("42".into()))),
    ];
    for (text, oid, wanted, expected) in wanted {
        assert_eq!(read(text, oid, &wanted).unwrap(), expected, "{text} for {wanted}");
    }
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
    let local = read("2024-07-01 12:00:00", TIMESTAMP, &instant).unwrap();
    assert_eq!(local, read("2024-07-01 16:00:00Z", TIMESTAMPTZ, &instant).unwrap());
    let null = parameter(None, Format::Text, INT4, &DataType::Utf8, &TimeZone::default()).unwrap();
    assert_eq!(null, ScalarValue::Utf8(None));
    // Text in binary format is still text, whatever it is wanted as.
    let number = parameter(Some(b"42"), Format::Binary, TEXT, &DataType::Int64, &TimeZone::default()).unwrap();
    assert_eq!(number, ScalarValue::Int64(Some(42)));
}

#[test]
fn arrays() {
    check(
        1007,
        &[
            ("{1,2,NULL}", "[1, 2, ]"),
            (" { 1 , 2 } ", "[1, 2]"),
            ("{}", "[]"),
            ("{{1,2},{3}}", "[[1, 2], [3]]"),
            ("[2:3]={7,8}", "[7, 8]"),
            ("{{},{1}}", "[[], [1]]"),
        ],
    );
    check(1009, &[("{a b,\"c,\\\"d\",\"NULL\",null}", "[a b, c,\"d, NULL, ]")]);
    check(1231, &[("{1.5,20,0.001}", "[1.500, 20.000, 0.001]")]);
    refused(
        1007,
        Kind::InvalidText,
        &["", "1", "{", "{1", "{1,}", "{,1}", "{1}}", "{1}x", "{{1},2}", "{1,{2}}", "{1 2}", "{\"1}"],
    );
    refused(1007, Kind::NumberOutOfRange, &["{99999999999}"]);
    refused(1007, Kind::LimitExceeded, &["{{{{{{{1}}}}}}}"]);
    let vector = DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Float32, true)), 2);
    assert_eq!(read("{1,2}", 0, &vector).unwrap().data_type(), vector);
    assert_eq!(read("{0.5,1.5}", 1022, &vector).unwrap().data_type(), vector);
    let nested = DataType::List(Arc::new(Field::new_list_field(
        DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        true,
    )));
    assert_eq!(read("{}", 0, &nested).unwrap().data_type(), nested);
}

#[test]
fn wrong_bytes_are_errors_of_their_own_kind() {
    for (oid, bytes) in [
        (BOOL, &b""[..]),
        (INT2, b"\0"),
        (INT4, b"\0\0\0\0\0"),
        (FLOAT8, b"\0"),
        (DATE, b""),
        (INTERVAL, b"\0\0\0\0\0\0\0\0"),
        (UUID, b"x"),
        (JSONB, b"\x02{}"),
        (NUMERIC, b"\0\x01\0\0\0\0\0\0"),
        (NUMERIC, b"\0\x01\0\0\0\0\0\0\x27\x10"),
        (NUMERIC, b"\0\0\0\0\x12\x34\0\0"),
        (1007, b"\0\0\0\x01\0\0\0\0\0\0\0\x17\x7f\xff\xff\xff\0\0\0\x01"),
        (1007, b"\0\0\0\x01\0\0\0\0\0\0\0\x14\0\0\0\0\0\0\0\x01"),
        (1007, b"\0\0\0\x07\0\0\0\0\0\0\0\x17"),
        (1007, b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x17"),
    ] {
        assert_eq!(read_binary(bytes, oid).unwrap_err().kind, Kind::InvalidBinary, "{oid} {bytes:?}");
    }
    assert_eq!(read_binary(b"\xff", TEXT).unwrap_err().kind, Kind::InvalidEncoding);
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    const SIGNS: &[u8] = b"0123456789-+:. {},\"\\NULLPYMDTHSeEZago'[]=/x\xff\0abcinfty";
    let oids = [16, 17, 20, 21, 23, 25, 26, 114, 700, 701, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802];
    let oids: Vec<u32> = oids.into_iter().flat_map(|oid| [oid, array_oid(oid).unwrap()]).collect();
    let wanted = [DataType::Null, DataType::Int32, DataType::Utf8View, DataType::Decimal128(5, 2), DataType::Date32];
    for round in 0..200_000 {
        let length = next() % 40;
        let signs = round % 3 != 0;
        let mut bytes: Vec<u8> =
            (0..length)
                .map(|_| {
                    if signs {
                        SIGNS[next() as usize % SIGNS.len()]
                    } else {
                        next() as u8 & next() as u8 & next() as u8
                    }
                })
                .collect();
        let oid = oids[next() as usize % oids.len()];
        if let (false, Some(element), true) = (signs, element_oid(oid), bytes.len() >= 12) {
            // A likely header, so that the elements are reached.
            bytes[..4].copy_from_slice(&((next() % 3) as u32).to_be_bytes());
            bytes[4..8].copy_from_slice(&[0; 4]);
            bytes[8..12].copy_from_slice(&element.to_be_bytes());
        }
        let format = if signs { Format::Text } else { Format::Binary };
        let wanted = &wanted[next() as usize % wanted.len()];
        let _ = parameter(Some(&bytes), format, oid, wanted, &TimeZone::default());
    }
}
