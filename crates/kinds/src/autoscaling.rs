//! Kinds of the API group `autoscaling`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod horizontal_pod_autoscaler;
pub(crate) mod horizontal_pod_autoscaler_v1;
pub(crate) mod older;
pub(crate) mod targets;
