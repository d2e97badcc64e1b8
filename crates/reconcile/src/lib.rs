//! The `reconcile` crate.
