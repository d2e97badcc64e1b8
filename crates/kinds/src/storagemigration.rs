//! Kinds of the API group `storagemigration.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod storage_version_migration;
