//! Kinds of the API group `flowcontrol.apiserver.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod flow_schema;
pub(crate) mod priority_level_configuration;
