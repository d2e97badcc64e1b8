//! Kinds of the API group `discovery.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod endpoint_slice;
