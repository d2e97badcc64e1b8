//! Kinds of the API group `policy`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod pod_disruption_budget;
