//! The `world` crate.
