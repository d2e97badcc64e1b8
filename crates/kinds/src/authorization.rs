//! Kinds of the API group `authorization.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod local_subject_access_review;
pub(crate) mod self_subject_access_review;
pub(crate) mod self_subject_rules_review;
pub(crate) mod subject_access_review;
