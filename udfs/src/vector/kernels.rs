//! Sums over pairs of slices: dot product and squared distance, the inner loops of every vector function.
//!
//! Each sum runs in 32 independent lanes of the element type, which the compiler turns into SIMD, and is carried to
//! double precision every 1,024 elements: an element passes through at most 36 roundings, whatever the dimension.
//! Lanes, blocks and the order of their reduction are fixed and no multiplication is fused with an addition, so the
//! result has the same bits on every processor, and whether a row comes alone or in a batch.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Mul, Sub};

use arrow::datatypes::ArrowNativeType;

/// Elements that a kernel works on: `f32` and `f64`.
pub trait Real:
    ArrowNativeType
    + Into<f64>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + AddAssign
    + Debug
    + sealed::Sealed
{
}

impl Real for f32 {}
impl Real for f64 {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

const LANES: usize = 32;
const BLOCK: usize = 1024;

/// Declares a public kernel that runs `$portable` compiled for AVX2 where the processor has it.
macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident = $portable:ident -> $result:ty) => {
        $(#[$doc])*
        pub fn $name<T: Real>(left: &[T], right: &[T]) -> $result {
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                #[target_feature(enable = "avx2")]
                fn wide<T: Real>(left: &[T], right: &[T]) -> $result {
                    $portable(left, right)
                }
                // SAFETY: the processor has AVX2, which is all that the function needs beyond its safe body.
                #[allow(unsafe_code)]
                return unsafe { wide(left, right) };
            }
            $portable(left, right)
        }
    };
}

kernel! {
    /// Sum of `left[i] * right[i]`. The slices must be of one length (the longer is cut).
    dot = portable_dot -> f64
}

kernel! {
    /// Sum of `(left[i] - right[i])^2`. The slices must be of one length (the longer is cut).
    squared_l2 = portable_squared_l2 -> f64
}

kernel! {
    /// `(dot(left, right), dot(right, right))` in one pass, bit for bit.
    dot_and_squared_norm = portable_dot_and_squared_norm -> (f64, f64)
}

/// Sum of the squares: `dot(values, values)`.
pub fn squared_norm<T: Real>(values: &[T]) -> f64 {
    dot(values, values)
}

#[inline(always)]
fn portable_dot<T: Real>(left: &[T], right: &[T]) -> f64 {
    let [total] = sums(left, right, |a, b| [a * b]);
    total
}

#[inline(always)]
fn portable_squared_l2<T: Real>(left: &[T], right: &[T]) -> f64 {
    let difference = |a: T, b: T| {
        let difference = a - b;
        [difference * difference]
    };
    let [total] = sums(left, right, difference);
    total
}

#[inline(always)]
fn portable_dot_and_squared_norm<T: Real>(left: &[T], right: &[T]) -> (f64, f64) {
    let [product, square] = sums(left, right, |a, b| [a * b, b * b]);
    (product, square)
}

/// `N` sums at once over the pairs of `left` and `right`.
#[inline(always)]
fn sums<T: Real, const N: usize>(left: &[T], right: &[T], terms: impl Fn(T, T) -> [T; N]) -> [f64; N] {
    let mut totals = [0.0; N];
    for (left, right) in left.chunks(BLOCK).zip(right.chunks(BLOCK)) {
        let mut lanes = [[T::default(); LANES]; N];
        let (left_chunks, left_rest) = left.as_chunks::<LANES>();
        let (right_chunks, right_rest) = right.as_chunks::<LANES>();
        for (left, right) in left_chunks.iter().zip(right_chunks) {
            for lane in 0..LANES {
                let term = terms(left[lane], right[lane]);
                for sum in 0..N {
                    lanes[sum][lane] += term[sum];
                }
            }
        }
        // Without this barrier the compiler packs the lanes in the order in which `reduce` adds them, two at a time,
        // and the loop above runs three times slower.
        lanes = std::hint::black_box(lanes);
        for (lane, (left, right)) in left_rest.iter().zip(right_rest).enumerate() {
            let term = terms(*left, *right);
            for sum in 0..N {
                lanes[sum][lane] += term[sum];
            }
        }
        for sum in 0..N {
            totals[sum] += reduce(lanes[sum]);
        }
    }
    totals
}

/// Halves the lanes until eight are left, then adds those in double precision.
#[inline(always)]
fn reduce<T: Real>(mut lanes: [T; LANES]) -> f64 {
    for lane in 0..16 {
        lanes[lane] += lanes[lane + 16];
    }
    for lane in 0..8 {
        lanes[lane] += lanes[lane + 8];
    }
    let mut wide: [f64; 8] = std::array::from_fn(|lane| lanes[lane].into());
    for lane in 0..4 {
        wide[lane] += wide[lane + 4];
    }
    (wide[0] + wide[2]) + (wide[1] + wide[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    const DIMENSIONS: [usize; 12] = [0, 1, 2, 7, 31, 32, 33, 384, 768, 1023, 1025, 5000];

    #[test]
    fn agrees_with_sums_in_double_precision() {
        let mut random = Random(1);
        for dimension in DIMENSIONS {
            for _ in 0..20 {
                let (left, right) = (random.vector(dimension), random.vector(dimension));
                let pairs = || left.iter().zip(&right).map(|(a, b)| (f64::from(*a), f64::from(*b)));
                let magnitude: f64 = pairs().map(|(a, b)| (a * b).abs()).sum();
                let product: f64 = pairs().map(|(a, b)| a * b).sum();
                let squares: f64 = pairs().map(|(a, b)| (a - b) * (a - b)).sum();
                let norm: f64 = right.iter().map(|b| f64::from(*b).powi(2)).sum();
                let close = |found: f64, exact: f64, scale: f64| {
                    assert!((found - exact).abs() <= 3e-6 * scale, "{found} is not {exact} in dimension {dimension}");
                };
                close(dot(&left, &right), product, magnitude);
                close(squared_l2(&left, &right), squares, squares);
                close(squared_norm(&right), norm, norm);
            }
        }
    }

    #[test]
    fn double_precision_keeps_double_precision() {
        let mut random = Random(2);
        for dimension in DIMENSIONS {
            let left: Vec<f64> = (0..dimension).map(|_| random.real()).collect();
            let right: Vec<f64> = (0..dimension).map(|_| random.real()).collect();
            let product: f64 = left.iter().zip(&right).map(|(a, b)| a * b).sum();
            let magnitude: f64 = left.iter().zip(&right).map(|(a, b)| (a * b).abs()).sum();
            assert!((dot(&left, &right) - product).abs() <= 1e-13 * magnitude);
        }
    }

    #[test]
    fn every_path_gives_the_same_bits() {
        let mut random = Random(3);
        for dimension in DIMENSIONS {
            let (left, right) = (random.vector(dimension), random.vector(dimension));
            assert_eq!(dot(&left, &right).to_bits(), portable_dot(&left, &right).to_bits());
            assert_eq!(dot(&left, &right).to_bits(), dot(&right, &left).to_bits());
            assert_eq!(squared_l2(&left, &right).to_bits(), portable_squared_l2(&right, &left).to_bits());
            let (product, norm) = dot_and_squared_norm(&left, &right);
            assert_eq!(product.to_bits(), dot(&left, &right).to_bits());
            assert_eq!(norm.to_bits(), squared_norm(&right).to_bits());
        }
    }

    #[test]
    fn long_sums_do_not_drift() {
        let ones = vec![1.0f32; 20_000_000];
        assert_eq!(squared_norm(&ones), 20_000_000.0);
        let tenths = vec![0.1f32; 1_000_000];
        let exact = f64::from(0.1f32).powi(2) * 1e6;
        assert!((squared_norm(&tenths) - exact).abs() / exact < 2e-6);
    }
}
