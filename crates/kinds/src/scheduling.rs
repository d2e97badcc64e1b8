//! Kinds of the API group `scheduling.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod priority_class;
