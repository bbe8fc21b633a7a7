//! What a search refuses, typed so that the server can give each case its SQLSTATE.

/// An error of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The query is of another dimension than the rows.
    #[error("different vector dimensions {query} and {rows}")]
    DimensionMismatch { query: usize, rows: usize },
    /// Vectors without elements have no distance to rank by.
    #[error("a vector must have at least 1 dimension")]
    NoDimensions,
    /// The values don't divide into whole rows.
    #[error("{values} values do not divide into rows of {dimension} dimensions")]
    PartialRow { values: usize, dimension: usize },
    /// The selection is of another length than the rows.
    #[error("a selection of {selected} rows over {rows} rows")]
    SelectionLength { selected: usize, rows: usize },
}
