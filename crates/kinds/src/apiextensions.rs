//! Kinds of the API group `apiextensions.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod custom_resource_definition;
