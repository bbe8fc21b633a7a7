//! Arithmetic on vectors: `FLOAT[]` and every other array of numbers. One file per function.

/// Sums over pairs of slices that the compiler turns into SIMD.
pub mod kernels;
/// Similarities and distances between two slices, built on the kernels.
pub mod measure;

/// A measure applied to two arguments, each a column or a constant.
mod pairwise;
/// An array argument seen as one slice per row.
mod rows;

mod cosine_distance;
mod cosine_similarity;
mod inner_product;
mod l2_distance;
mod l2_normalize;

use datafusion_expr::ScalarUDF;

use crate::declaration::{Argument, ArgumentKind, FunctionDoc};

pub(crate) const DOCS: &[&FunctionDoc] =
    &[&cosine_distance::DOC, &cosine_similarity::DOC, &inner_product::DOC, &l2_distance::DOC, &l2_normalize::DOC];

pub(crate) fn functions() -> Vec<ScalarUDF> {
    vec![
        cosine_distance::CosineDistance::new().into(),
        cosine_similarity::CosineSimilarity::new().into(),
        inner_product::InnerProduct::new().into(),
        l2_distance::L2Distance::new().into(),
        l2_normalize::L2Normalize::new().into(),
    ]
}

/// The two arguments that every measure takes.
const PAIR: &[Argument] = &[
    Argument { name: "left", kind: ArgumentKind::Vector, optional: false, description: "A vector." },
    Argument {
        name: "right",
        kind: ArgumentKind::Vector,
        optional: false,
        description: "A vector of the same dimension.",
    },
];

#[cfg(test)]
mod tests;
