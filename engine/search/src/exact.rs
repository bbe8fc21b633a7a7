//! The `k` nearest rows of a matrix, by looking at every one: exact, and the same answer every time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use alluvia_udfs::vector::kernels::Real;
use alluvia_udfs::vector::measure::{CosineDistance, InnerProduct, L2Distance, Measure};
use arrow::buffer::BooleanBuffer;

use crate::error::SearchError;

/// What "near" means. Each ranks by the value of the SQL function of its name, in the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// `cosine_distance`. A zero vector is at distance NaN.
    Cosine,
    /// `l2_distance`.
    L2,
    /// `-inner_product`, so that here, too, smaller is nearer.
    InnerProduct,
}

/// A row that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its place in the matrix, from 0.
    pub row: usize,
    /// Smaller is nearer. NaN is farther than everything, as PostgreSQL sorts it.
    pub distance: f64,
}

/// The `k` rows of `vectors` that are nearest to `query`, nearest first, rows at one distance by row number.
///
/// `vectors` holds rows of `dimension` values one after the other. Only rows whose bit is set in `selection` are looked
/// at (all of them without one); a caller clears the bits of NULL vectors and of rows that a predicate drops.
pub fn top_k(
    query: &[f32],
    vectors: &[f32],
    dimension: usize,
    k: usize,
    metric: Metric,
    selection: Option<&BooleanBuffer>,
) -> Result<Vec<Neighbour>, SearchError> {
    if dimension == 0 {
        return Err(SearchError::NoDimensions);
    }
    if query.len() != dimension {
        return Err(SearchError::DimensionMismatch { query: query.len(), rows: dimension });
    }
    if !vectors.len().is_multiple_of(dimension) {
        return Err(SearchError::PartialRow { values: vectors.len(), dimension });
    }
    let rows = vectors.len() / dimension;
    if let Some(selection) = selection.filter(|selection| selection.len() != rows) {
        return Err(SearchError::SelectionLength { selected: selection.len(), rows });
    }
    let nearest_by = match metric {
        Metric::Cosine => nearest::<CosineDistance>,
        Metric::L2 => nearest::<L2Distance>,
        Metric::InnerProduct => nearest::<NegativeInnerProduct>,
    };
    Ok(nearest_by(query, vectors, k.min(rows), selection))
}

/// `-inner_product`, pgvector's `<#>`.
struct NegativeInnerProduct;

impl Measure for NegativeInnerProduct {
    fn prepare<T: Real>(query: &[T]) -> f64 {
        InnerProduct::prepare(query)
    }

    fn between<T: Real>(query: &[T], prepared: f64, row: &[T]) -> f64 {
        -InnerProduct::between(query, prepared, row)
    }
}

/// Keeps the `k` nearest rows in a heap whose top is the farthest of them.
fn nearest<M: Measure>(query: &[f32], vectors: &[f32], k: usize, selection: Option<&BooleanBuffer>) -> Vec<Neighbour> {
    let prepared = M::prepare(query);
    let mut heap: BinaryHeap<Ranked> = BinaryHeap::with_capacity(k);
    for (row, vector) in vectors.chunks_exact(query.len()).enumerate() {
        if selection.is_some_and(|selection| !selection.value(row)) {
            continue;
        }
        let found = Ranked(Neighbour { row, distance: M::between(query, prepared, vector) });
        if heap.len() < k {
            heap.push(found);
        } else if let Some(mut farthest) = heap.peek_mut()
            && found < *farthest
        {
            *farthest = found;
        }
    }
    heap.into_sorted_vec().into_iter().map(|Ranked(neighbour)| neighbour).collect()
}

/// Orders by distance, then by row: a total order, so that the answer doesn't depend on the order of the scan.
struct Ranked(Neighbour);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (&self.0, &other.0);
        let by_distance = match (left.distance.is_nan(), right.distance.is_nan()) {
            // total_cmp alone would put a negative NaN first, and -0 before 0.
            (false, false) => left.distance.partial_cmp(&right.distance).unwrap_or(Ordering::Equal),
            (left_nan, right_nan) => left_nan.cmp(&right_nan),
        };
        by_distance.then(left.row.cmp(&right.row))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64, cut to few values so that ties are common.
    fn matrix(rows: usize, dimension: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut value = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed >> 61) as f32 - 3.5
        };
        (0..rows * dimension).map(|_| value()).collect()
    }

    fn reference(query: &[f32], row: &[f32], metric: Metric) -> f64 {
        let sum = |term: &dyn Fn(f64, f64) -> f64| -> f64 {
            query.iter().zip(row).map(|(a, b)| term(f64::from(*a), f64::from(*b))).sum()
        };
        match metric {
            Metric::L2 => sum(&|a, b| (a - b).powi(2)).sqrt(),
            Metric::InnerProduct => -sum(&|a, b| a * b),
            Metric::Cosine => 1.0 - sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt(),
        }
    }

    #[test]
    fn agrees_with_sorting_every_row() {
        for metric in [Metric::Cosine, Metric::L2, Metric::InnerProduct] {
            for dimension in [1, 3, 32, 100] {
                let vectors = matrix(200, dimension, dimension as u64);
                let query = matrix(1, dimension, 99);
                let mut sorted: Vec<(f64, usize)> = vectors
                    .chunks(dimension)
                    .enumerate()
                    .map(|(row, vector)| ((reference(&query, vector, metric) * 1e9).round(), row))
                    .collect();
                sorted.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
                for k in [0, 1, 7, 200, 1000] {
                    let found = top_k(&query, &vectors, dimension, k, metric, None).unwrap();
                    let distances: Vec<f64> = found.iter().map(|found| (found.distance * 1e9).round()).collect();
                    let expected: Vec<f64> = sorted.iter().take(k).map(|(distance, _)| *distance).collect();
                    assert_eq!(distances, expected, "{metric:?} in {dimension} dimensions, {k} rows");
                }
            }
        }
    }

    #[test]
    fn ties_go_by_row_and_nan_comes_last() {
        let vectors = [0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 1.0];
        let found = top_k(&[1.0, 0.0], &vectors, 2, 4, Metric::Cosine, None).unwrap();
        assert_eq!(found.iter().map(|found| found.row).collect::<Vec<_>>(), [1, 2, 3, 0]);
        assert!(found[3].distance.is_nan());
    }

    #[test]
    fn looks_only_at_selected_rows() {
        let vectors = [0.0, 1.0, 2.0, 3.0];
        let selection = BooleanBuffer::from(vec![false, true, false, true]);
        let found = top_k(&[0.0], &vectors, 1, 3, Metric::L2, Some(&selection)).unwrap();
        assert_eq!(found, [Neighbour { row: 1, distance: 1.0 }, Neighbour { row: 3, distance: 3.0 }]);
    }

    #[test]
    fn refuses_shapes_that_do_not_fit() {
        let refused = |query: &[f32], vectors: &[f32], dimension, selection: Option<&BooleanBuffer>| {
            top_k(query, vectors, dimension, 1, Metric::L2, selection).unwrap_err()
        };
        let mismatch = refused(&[1.0; 3], &[1.0; 8], 4, None);
        assert_eq!(mismatch.to_string(), "different vector dimensions 3 and 4");
        assert_eq!(refused(&[], &[], 0, None), SearchError::NoDimensions);
        assert_eq!(refused(&[1.0; 3], &[1.0; 8], 3, None), SearchError::PartialRow { values: 8, dimension: 3 });
        let selection = BooleanBuffer::new_set(3);
        let wrong = refused(&[1.0; 2], &[1.0; 8], 2, Some(&selection));
        assert_eq!(wrong, SearchError::SelectionLength { selected: 3, rows: 4 });
        assert_eq!(top_k(&[1.0], &[], 1, 5, Metric::L2, None), Ok(vec![]));
    }
}
