//! Kinds of the API group `rbac.authorization.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod cluster_role;
pub(crate) mod cluster_role_binding;
pub(crate) mod role;
pub(crate) mod role_binding;
pub(crate) mod subjects;
