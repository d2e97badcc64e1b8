//! Kinds of the API group `certificates.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod certificate_signing_request;
pub(crate) mod cluster_trust_bundle;
pub(crate) mod pod_certificate_request;
