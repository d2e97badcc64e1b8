//! Validation of whole objects: what a kind refuses on create and on update.
//!
//! Pure: reads trees that are decoded, defaulted and prepared. Every fault is
//! collected with its path. Metadata is checked for all kinds alike, through
//! [`crate::KindSpec::validate_create`] and its sibling for updates.

pub(crate) mod config_map;
pub(crate) mod data;
pub(crate) mod metadata;
pub(crate) mod rbac;
pub(crate) mod secret;
