//! The `kinds` crate.
