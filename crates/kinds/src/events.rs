//! Kinds of the API group `events.k8s.io`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod event;
