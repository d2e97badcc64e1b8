//! Kinds of the API group `authentication.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod self_subject_review;
pub(crate) mod token_review;
