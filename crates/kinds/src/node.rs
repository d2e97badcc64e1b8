//! Kinds of the API group `node.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod runtime_class;
