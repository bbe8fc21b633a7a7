//! Nothing to build here: each bench is a file of its own.
