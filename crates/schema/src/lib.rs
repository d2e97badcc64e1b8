//! The `schema` crate.
