//! Nothing to build here: the tests stand in `suite/`, the SQL they run in `slt/`.
