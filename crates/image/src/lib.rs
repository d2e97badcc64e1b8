//! The `image` crate.
