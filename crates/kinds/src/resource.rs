//! Kinds of the API group `resource.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod device_class;
pub(crate) mod device_taint_rule;
pub(crate) mod requests;
pub(crate) mod resource_claim;
pub(crate) mod resource_claim_template;
pub(crate) mod resource_slice;
