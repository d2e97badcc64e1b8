//! Takes away what a runtime left on the host: shims, containers, control groups, directories.
//!
//! Reads the state directory and `/proc`; writes by removing. Invariants: nothing here needs a living agent or shim; only
//! processes that prove to be a shim of the directory, or that sit in its control groups, are killed.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use super::link::find_shim;
use super::{LOCK_FILE, SANDBOXES, lock};
use crate::cgroup::Cgroups;
use crate::error::RuntimeError;
use crate::shim::{SANDBOX_FILE, SandboxFile};
use crate::sys;

/// How long a killed shim may take to go.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// What [`purge`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Sandboxes.
    pub sandboxes: usize,
}

/// Removes every sandbox of a state directory at once, without grace, and the directory's contents.
///
/// Blocks. Succeeds on a directory that does not exist.
///
/// # Errors
/// [`RuntimeError::InUse`] while an agent uses the directory; otherwise what could not be removed.
pub fn purge(state_dir: &Path) -> Result<Purged, RuntimeError> {
    if !state_dir.exists() {
        return Ok(Purged::default());
    }
    let state_dir = fs::canonicalize(state_dir).map_err(RuntimeError::io("resolve", state_dir))?;
    let lock = lock(&state_dir)?;
    let sandboxes = state_dir.join(SANDBOXES);
    let mut purged = Purged::default();
    for entry in fs::read_dir(&sandboxes).into_iter().flatten().flatten() {
        remove_sandbox(&entry.path(), true)?;
        purged.sandboxes += 1;
    }
    for leftover in [sandboxes.as_path(), &state_dir.join(LOCK_FILE)] {
        let removed = if leftover.is_dir() {
            fs::remove_dir(leftover)
        } else {
            fs::remove_file(leftover)
        };
        match removed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(RuntimeError::io("remove", leftover)(e));
            }
            _ => {}
        }
    }
    drop(lock);
    Ok(purged)
}

/// Ends whatever is left of a sandbox. The shim may be alive or dead.
pub(super) fn end_sandbox(dir: &Path) -> Result<Option<(SandboxFile, Cgroups)>, RuntimeError> {
    if let Some(pid) = find_shim(dir) {
        kill_and_wait(pid).map_err(RuntimeError::io("kill shim of", dir))?;
    }
    // Without a readable description nothing can have been started from it.
    let Some(file) = read_file(dir) else {
        return Ok(None);
    };
    let cgroups =
        Cgroups::detect(&file.cgroup_base).map_err(|e| RuntimeError::Failed(e.to_string()))?;
    Ok(Some((file, cgroups)))
}

pub(super) fn read_file(dir: &Path) -> Option<SandboxFile> {
    serde_json::from_slice(&fs::read(dir.join(SANDBOX_FILE)).ok()?).ok()
}

/// Removes a sandbox with its control groups and directory. `ancestors` takes empty parent groups along.
pub(super) fn remove_sandbox(dir: &Path, ancestors: bool) -> Result<(), RuntimeError> {
    if let Some((file, cgroups)) = end_sandbox(dir)? {
        let parent = &file.config.cgroup_parent;
        if !shares_parent(dir, parent) {
            cgroups
                .remove(parent)
                .map_err(|e| RuntimeError::Failed(crate::embedded::describe(&e)))?;
            let mut rest = parent.as_str();
            while let Some((up, _)) = rest
                .rsplit_once('/')
                .filter(|(up, _)| ancestors && !up.is_empty())
            {
                if !cgroups.remove_if_empty(up) {
                    break;
                }
                rest = up;
            }
        }
    }
    remove_directory(dir)
}

/// Whether another sandbox lives in the same group: a pod whose sandbox was replaced.
fn shares_parent(dir: &Path, parent: &str) -> bool {
    let siblings = dir.parent().and_then(|p| fs::read_dir(p).ok());
    siblings
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .any(|other| {
            other != dir && read_file(&other).is_some_and(|f| f.config.cgroup_parent == parent)
        })
}

fn remove_directory(dir: &Path) -> Result<(), RuntimeError> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(RuntimeError::io("remove", dir)(e)),
        _ => Ok(()),
    }
}

fn kill_and_wait(pid: i32) -> io::Result<()> {
    let pidfd = match sys::pidfd_open(pid) {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
        other => other?,
    };
    sys::kill(pid, libc::SIGKILL)?;
    let mut fds = [libc::pollfd {
        fd: std::os::fd::AsRawFd::as_raw_fd(&pidfd.as_fd()),
        events: libc::POLLIN,
        revents: 0,
    }];
    sys::poll(&mut fds, Some(sys::monotonic() + KILL_WAIT))?;
    if fds[0].revents == 0 {
        Err(io::Error::from(io::ErrorKind::TimedOut))
    } else {
        Ok(())
    }
}
