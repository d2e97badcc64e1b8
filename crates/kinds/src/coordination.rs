//! Kinds of the API group `coordination.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod lease;
