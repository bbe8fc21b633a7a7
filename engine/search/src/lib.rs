//! Search over vectors. Today: exact search, which is also what an approximate index is judged by.

/// What a search refuses.
mod error;
/// The nearest rows of a matrix, by looking at every one.
pub mod exact;

pub use error::SearchError;
pub use exact::{Metric, Neighbour, top_k};
