//! What keeps a table in shape, and what tells how it stands: none of it changes a row.

/// Who committed what, and when.
mod history;
/// The table as a whole.
mod detail;
/// Files that no version within retention names, named or deleted.
mod vacuum;

pub use detail::Detail;
pub use history::Commit;
pub use vacuum::{Vacuum, Vacuumed};
