//! Record batches into DataRow messages: the encoder alone, without engine, socket or client.

use std::sync::Arc;

use alluvia_server::protocol::encode::{EncodeOptions, Format, RowEncoder};
use arrow::array::{
    ArrayRef, Float32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Float32Type;
use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 8192;

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let names = (0..columns.len()).map(|index| format!("c{index}"));
    RecordBatch::try_from_iter(names.zip(columns)).unwrap()
}

fn encode(criterion: &mut Criterion) {
    let integers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..ROWS as i64).map(|row| row * 7919)));
    let reals: ArrayRef = Arc::new(Float32Array::from_iter_values((0..ROWS).map(|row| row as f32 / 7.0)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("row number {row}"))));
    let times: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from_iter_values((0..ROWS as i64).map(|row| row * 86_399_000_017)));
    let vectors: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(
        (0..ROWS / 16).map(|row| Some((0..384).map(move |index| Some((row * 384 + index) as f32 / 1e5)))),
    ));
    let cases = [
        ("two_integers", batch(vec![Arc::clone(&integers), integers])),
        ("mixed", batch(vec![reals, texts, times])),
        ("vectors_384", batch(vec![vectors])),
    ];
    let mut group = criterion.benchmark_group("encode");
    for (name, batch) in &cases {
        for (form, format) in [("text", Format::Text), ("binary", Format::Binary)] {
            let encoder = RowEncoder::new(&batch.schema(), &[format], &EncodeOptions::default()).unwrap();
            let mut buffer = BytesMut::new();
            group.throughput(Throughput::Elements(batch.num_rows() as u64));
            group.bench_function(format!("{name}/{form}"), |bencher| {
                bencher.iter(|| {
                    buffer.clear();
                    encoder.encode(batch, 0..batch.num_rows(), &mut buffer).unwrap();
                    buffer.len()
                })
            });
        }
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
