//! Kinds of the API group `batch`, one file each.
//!
//! Holds nothing but its files.

pub(crate) mod cron_job;
pub(crate) mod job;
