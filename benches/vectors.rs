//! Exact nearest neighbours: one query against a matrix of unit vectors, in the dimension of the default model.

use alluvia_search::{Metric, top_k};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const DIMENSION: usize = 384;
const ROWS: usize = 50_000;

fn exact(criterion: &mut Criterion) {
    // A fixed sequence: the values don't matter to the speed, only that they aren't all alike.
    let mut seed = 1_u32;
    let mut value = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let vectors: Vec<f32> = (0..ROWS * DIMENSION).map(|_| value()).collect();
    let query: Vec<f32> = (0..DIMENSION).map(|_| value()).collect();
    let mut group = criterion.benchmark_group("top_10_of_50_000");
    group.throughput(Throughput::Bytes((vectors.len() * size_of::<f32>()) as u64));
    group.sample_size(20);
    for (name, metric) in [("cosine", Metric::Cosine), ("l2", Metric::L2), ("inner_product", Metric::InnerProduct)] {
        group.bench_function(name, |bencher| bencher.iter(|| top_k(&query, &vectors, DIMENSION, 10, metric, None)));
    }
    group.finish();
}

criterion_group!(benches, exact);
criterion_main!(benches);
