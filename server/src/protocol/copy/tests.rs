//! Rows that go out come in again as they were, and no bytes make the decoder panic.

use std::sync::Arc;

use alluvia_core::{CopyFormat, CopyHeader, CopyKind};
use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, Int32Array, Int32Builder, ListBuilder, MapBuilder, StringArray, StringBuilder,
    StructArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::BytesMut;

use super::decoder::CopyDecoder;
use super::encoder::CopyEncoder;
use crate::protocol::encode::EncodeOptions;
use crate::protocol::report::Report;
use crate::protocol::time_zone::TimeZone;

fn format(kind: CopyKind, columns: usize) -> CopyFormat {
    let csv = kind == CopyKind::Csv;
    CopyFormat {
        kind,
        header: CopyHeader::Absent,
        delimiter: if csv { b',' } else { b'\t' },
        null: if csv { String::new() } else { "\\N".to_owned() },
        quote: b'"',
        escape: b'"',
        force_quote: vec![false; columns],
        force_not_null: vec![false; columns],
        force_null: vec![false; columns],
    }
}

fn decode(schema: &SchemaRef, format: CopyFormat, bytes: &[u8], piece: usize) -> Result<Vec<RecordBatch>, Report> {
    let mut decoder = CopyDecoder::new(Arc::clone(schema), format, "t", TimeZone::default());
    let mut batches = vec![];
    for piece in bytes.chunks(piece) {
        decoder.push(piece)?;
        while let Some(batch) = decoder.batch()? {
            batches.push(batch);
        }
    }
    decoder.end();
    while let Some(batch) = decoder.batch()? {
        batches.push(batch);
    }
    Ok(batches)
}

fn nested() -> RecordBatch {
    let point = StructArray::from(vec![
        (
            Arc::new(Field::new("x", DataType::Float64, true)),
            Arc::new(Float64Array::from(vec![Some(1.5), None, Some(f64::NAN)])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("label, \"quoted\"", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("a,b}\"\\\n"), Some("null"), None])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("bytes", DataType::Binary, true)),
            Arc::new(BinaryArray::from(vec![Some(&b"\0\\"[..]), None, Some(b"")])) as ArrayRef,
        ),
    ]);
    let mut counts = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    counts.keys().append_value("k:1");
    counts.values().append_value(7);
    counts.append(true).unwrap();
    counts.append(true).unwrap();
    counts.append(false).unwrap();
    let mut lists = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    for row in [Some(vec![vec![Some(1), None], vec![Some(2), Some(3)]]), Some(vec![]), None] {
        for inner in row.iter().flatten() {
            inner.iter().for_each(|value| lists.values().values().append_option(*value));
            lists.values().append(true);
        }
        lists.append(row.is_some());
    }
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef, true),
        ("point", Arc::new(point), true),
        ("counts", Arc::new(counts.finish()), true),
        ("grid", Arc::new(lists.finish()), true),
    ])
    .unwrap()
}

#[test]
fn nested_values_come_back() {
    let batch = nested();
    for kind in [CopyKind::Text, CopyKind::Csv, CopyKind::Binary] {
        let mut encoder = CopyEncoder::new(&batch.schema(), format(kind, 4), &EncodeOptions::default()).unwrap();
        let bound = encoder.bind(&batch).unwrap();
        let mut out = BytesMut::new();
        for row in 0..batch.num_rows() {
            encoder.row(&bound, row, &mut out).unwrap();
        }
        encoder.trailer(&mut out);
        for piece in [1, 7, 10_000] {
            let back =
                decode(&batch.schema(), format(kind, 4), &out, piece).unwrap_or_else(|report| panic!("{report:?}"));
            // NaN isn't itself: compared by what is written.
            assert_eq!(format!("{back:?}"), format!("{:?}", std::slice::from_ref(&batch)), "{kind:?}");
        }
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let batch = nested();
    let flat: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int32, true),
        Field::new("b", DataType::Utf8, true),
        Field::new("c", DataType::Decimal128(5, 2), true),
    ]));
    let words: &[&[u8]] = &[
        b"\t",
        b"\n",
        b"\r",
        b"\\",
        b"\\.",
        b",",
        b"\"",
        b"1",
        b"{",
        b"}",
        b"[",
        b":",
        b"\xff",
        b"PGCOPY\n\xff\r\n\0",
        b"\0\0\0\0",
        b"\0\x03",
        b"\xff\xff",
        b"9.995",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..3_000 {
        let mut bytes = vec![];
        for _ in 0..state % 24 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(words[(state % words.len() as u64) as usize]);
        }
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        for kind in [CopyKind::Text, CopyKind::Csv, CopyKind::Binary] {
            for (schema, width) in [(&flat, 3), (&batch.schema(), 4)] {
                let _ = decode(schema, format(kind, width), &bytes, 1 + (state % 5) as usize);
            }
        }
    }
}
