//! Kinds of the API group `apiregistration.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod api_service;
