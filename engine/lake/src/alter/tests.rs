//! ALTER on real tables.
