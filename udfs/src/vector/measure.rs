//! Similarities and distances between two vectors of one dimension: what the SQL functions return for a row, and
//! what an exact search ranks by, in the same bits.
//!
//! Single precision is used as long as it holds: where a sum of squares leaves the range in which `f32` terms are
//! accurate, the row is computed again in double precision, scaled by its largest element. `cosine_distance`
//! of `[1e30, 0]` and itself is 0, not NaN.

use super::kernels::{Real, dot, dot_and_squared_norm, squared_l2, squared_norm};

/// How near two vectors are. Implementations are symmetric, bit for bit.
pub trait Measure {
    /// What can be computed once for a vector that meets many: its squared norm, where the measure uses it.
    fn prepare<T: Real>(query: &[T]) -> f64;

    /// The measure between `query` and `row`, of one length, given `prepare(query)`.
    fn between<T: Real>(query: &[T], prepared: f64, row: &[T]) -> f64;
}

/// `dot(a, b) / (|a| |b|)`, within [-1, 1]; NaN where either vector is zero, as in pgvector.
#[derive(Debug, Clone, Copy)]
pub struct CosineSimilarity;

/// `1 - cosine similarity`, within [0, 2]; NaN where either vector is zero.
#[derive(Debug, Clone, Copy)]
pub struct CosineDistance;

/// `|a - b|`, Euclidean.
#[derive(Debug, Clone, Copy)]
pub struct L2Distance;

/// `dot(a, b)`.
#[derive(Debug, Clone, Copy)]
pub struct InnerProduct;

impl Measure for CosineSimilarity {
    fn prepare<T: Real>(query: &[T]) -> f64 {
        squared_norm(query)
    }

    #[inline]
    fn between<T: Real>(query: &[T], prepared: f64, row: &[T]) -> f64 {
        let (product, norm) = dot_and_squared_norm(query, row);
        let squares = prepared * norm;
        if accurate(prepared) && accurate(norm) && squares.is_finite() && product.is_finite() {
            // Rounding must not carry a similarity past 1.
            return (product / squares.sqrt()).clamp(-1.0, 1.0);
        }
        sorted_last(scaled_cosine(query, row))
    }
}

impl Measure for CosineDistance {
    fn prepare<T: Real>(query: &[T]) -> f64 {
        CosineSimilarity::prepare(query)
    }

    #[inline]
    fn between<T: Real>(query: &[T], prepared: f64, row: &[T]) -> f64 {
        let similarity = CosineSimilarity::between(query, prepared, row);
        if similarity.is_nan() { similarity } else { 1.0 - similarity }
    }
}

impl Measure for L2Distance {
    fn prepare<T: Real>(_query: &[T]) -> f64 {
        0.0
    }

    #[inline]
    fn between<T: Real>(query: &[T], _prepared: f64, row: &[T]) -> f64 {
        let squares = squared_l2(query, row);
        if accurate(squares) {
            return squares.sqrt();
        }
        let differences = query.iter().zip(row).map(|(a, b)| Into::<f64>::into(*a) - Into::<f64>::into(*b));
        sorted_last(scaled_norm(differences))
    }
}

impl Measure for InnerProduct {
    fn prepare<T: Real>(_query: &[T]) -> f64 {
        0.0
    }

    #[inline]
    fn between<T: Real>(query: &[T], _prepared: f64, row: &[T]) -> f64 {
        let product = dot(query, row);
        if product.is_finite() { product } else { sorted_last(wide_dot(wide(query), wide(row))) }
    }
}

/// Euclidean norm, accurate over the whole range of `T`.
pub fn l2_norm<T: Real>(values: &[T]) -> f64 {
    let squares = squared_norm(values);
    if accurate(squares) { squares.sqrt() } else { scaled_norm(wide(values)) }
}

/// Whether a sum of squares stayed clear of overflow and of `f32`'s underflow (below 1.2e-38 a square loses digits).
#[inline]
fn accurate(squares: f64) -> bool {
    squares.is_finite() && squares > 1e-28
}

/// The NaN that sorts after every number, in place of any other. What `0.0 / 0.0` gives depends on the processor; on
/// x86-64 its sign bit is set, and Arrow, which sorts by the total order, would put it before every number.
fn sorted_last(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

#[cold]
fn scaled_cosine<T: Real>(left: &[T], right: &[T]) -> f64 {
    let (left_scale, right_scale) = (scale(wide(left)), scale(wide(right)));
    let (left, right) = (wide(left).map(|a| a / left_scale), wide(right).map(|b| b / right_scale));
    let squares = wide_dot(left.clone(), left.clone()) * wide_dot(right.clone(), right.clone());
    // Clamp keeps NaN: the zero vector has no direction.
    (wide_dot(left, right) / squares.sqrt()).clamp(-1.0, 1.0)
}

#[cold]
fn scaled_norm(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let scale = scale(values.clone());
    let scaled = values.map(|value| value / scale);
    wide_dot(scaled.clone(), scaled).sqrt() * scale
}

/// The largest magnitude, by which the squares of all are within range; 1 where there is none to divide by.
fn scale(values: impl Iterator<Item = f64>) -> f64 {
    let largest = values.fold(0.0, |largest: f64, value| largest.max(value.abs()));
    if largest > 0.0 && largest.is_finite() { largest } else { 1.0 }
}

fn wide<T: Real>(values: &[T]) -> impl Iterator<Item = f64> + Clone {
    values.iter().map(|value| (*value).into())
}

fn wide_dot(left: impl Iterator<Item = f64>, right: impl Iterator<Item = f64>) -> f64 {
    // Not `sum()`: that of nothing is -0.
    left.zip(right).fold(0.0, |total, (a, b)| total + a * b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn measured<M: Measure>(left: &[f32], right: &[f32]) -> f64 {
        M::between(left, M::prepare(left), right)
    }

    fn cosine_reference(left: &[f32], right: &[f32]) -> f64 {
        let sum = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
        sum(left, right) / (sum(left, left).sqrt() * sum(right, right).sqrt())
    }

    #[test]
    fn random_vectors_agree_with_the_definition() {
        let mut random = Random(11);
        for dimension in [1, 2, 3, 17, 384, 1536] {
            for _ in 0..50 {
                let (left, right) = (random.vector(dimension), random.vector(dimension));
                let cosine = measured::<CosineSimilarity>(&left, &right);
                assert!((cosine - cosine_reference(&left, &right)).abs() < 1e-6);
                assert!((-1.0..=1.0).contains(&cosine));
                assert_eq!(measured::<CosineDistance>(&left, &right), 1.0 - cosine);
                assert_eq!(cosine.to_bits(), measured::<CosineSimilarity>(&right, &left).to_bits());
                assert!((measured::<CosineSimilarity>(&left, &left) - 1.0).abs() < 1e-12);
                assert_eq!(measured::<L2Distance>(&left, &left), 0.0);
                let negated: Vec<f32> = left.iter().map(|value| -value).collect();
                assert!((measured::<CosineSimilarity>(&left, &negated) + 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn holds_over_the_whole_range_of_single_precision() {
        for scale in [1e-44f32, 1e-30, 1e-20, 1e-10, 1.0, 1e18, 1e30, 3e38] {
            let (left, right) = ([scale, 0.0], [scale, scale]);
            let half = std::f64::consts::FRAC_1_SQRT_2;
            let scale = f64::from(scale);
            assert!((measured::<CosineSimilarity>(&left, &right) - half).abs() < 1e-6, "at {scale}");
            assert!((measured::<L2Distance>(&left, &right) / scale - 1.0).abs() < 1e-6, "at {scale}");
            assert!((l2_norm(&right) / scale - 2f64.sqrt()).abs() < 1e-6, "at {scale}");
        }
        assert!(measured::<InnerProduct>(&[3e38, 1.0], &[3e38, 1.0]) > 8e76);
        assert!((measured::<CosineSimilarity>(&[3e38, 3e38], &[2.0, 2.0]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn holds_over_the_whole_range_of_double_precision() {
        for scale in [1e-300f64, 1e-160, 1e-20, 1.0, 1e100, 1e160, 1e308] {
            let (left, right) = ([scale, 0.0], [scale / 2.0, scale / 2.0]);
            let cosine = CosineSimilarity::between(&left, CosineSimilarity::prepare(&left), &right);
            assert!((cosine - std::f64::consts::FRAC_1_SQRT_2).abs() < 1e-12, "{cosine} at {scale}");
            assert!((L2Distance::between(&left, 0.0, &[0.0, 0.0]) / scale - 1.0).abs() < 1e-12, "at {scale}");
            assert!((l2_norm(&left) / scale - 1.0).abs() < 1e-12, "at {scale}");
        }
    }

    #[test]
    fn zero_empty_and_not_a_number() {
        for nan in [
            measured::<CosineSimilarity>(&[1.0, 2.0], &[0.0, 0.0]),
            measured::<CosineDistance>(&[0.0, 0.0], &[1.0, 2.0]),
            measured::<CosineDistance>(&[-f32::NAN, 1.0], &[1.0, 1.0]),
            measured::<L2Distance>(&[f32::INFINITY], &[f32::INFINITY]),
            measured::<InnerProduct>(&[f32::INFINITY, f32::INFINITY], &[1.0, -1.0]),
        ] {
            assert!(nan.is_nan() && nan.is_sign_positive());
        }
        assert!(measured::<CosineDistance>(&[], &[]).is_nan());
        assert_eq!(measured::<L2Distance>(&[], &[]), 0.0);
        assert_eq!(measured::<InnerProduct>(&[], &[]), 0.0);
        assert!(measured::<CosineDistance>(&[f32::NAN, 1.0], &[1.0, 1.0]).is_nan());
        assert!(measured::<L2Distance>(&[f32::NAN], &[1.0]).is_nan());
        assert_eq!(measured::<L2Distance>(&[f32::INFINITY], &[1.0]), f64::INFINITY);
    }
}
