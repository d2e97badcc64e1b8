//! Kernel settings under /proc/sys/net, of the calling thread's network namespace.
//!
//! Writes only what differs, so that a read-only /proc/sys with the right values is fine.

use crate::error::NetError;
use std::fs;

/// Sets `key` (a path below /proc/sys) to `value` unless it is so already.
pub(crate) fn set(key: &str, value: &str) -> Result<(), NetError> {
    let path = format!("/proc/sys/{key}");
    if fs::read_to_string(&path).is_ok_and(|now| now.trim() == value) {
        return Ok(());
    }
    fs::write(&path, value).map_err(|source| NetError::Sysctl {
        key: key.to_owned(),
        value: value.to_owned(),
        source,
    })
}
