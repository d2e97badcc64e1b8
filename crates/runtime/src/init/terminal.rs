//! Terminals: a pty from the container's own devpts, its master sent to the shim.
//!
//! Reads `/dev/pts` of the container; writes the ownership of the pty and, for a container's first process, mounts it on
//! `/dev/console`. Invariant: the pty belongs to the container's devpts, so `ttyname` works inside.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::Path;

use super::{Failure, MESSAGE_TERMINAL, during};
use crate::sys;

/// Makes a pty the controlling terminal and standard streams of this process.
pub(super) fn set_up(report: BorrowedFd<'_>, uid: u32, console: bool) -> Result<(), Failure> {
    let (master, slave) = open().or_else(during(|| "open a terminal".to_owned()))?;
    fchown(&slave, Some(uid), None).or_else(during(|| "own the terminal".to_owned()))?;
    if console {
        mount_console(&slave).or_else(during(|| "mount /dev/console".to_owned()))?;
    }
    // SAFETY: TIOCSCTTY takes an integer; this process leads a session without a terminal.
    sys::check(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY as _, 0) }.into())
        .or_else(during(|| "set controlling terminal".to_owned()))?;
    for target in 0..3 {
        nix::unistd::dup2(slave.as_raw_fd(), target)
            .map_err(io::Error::from)
            .or_else(during(|| "set up stdio".to_owned()))?;
    }
    sys::send_with_fds(report, &[MESSAGE_TERMINAL], &[master.as_raw_fd()])
        .or_else(during(|| "pass the terminal on".to_owned()))?;
    Ok(())
}

fn open() -> io::Result<(File, OwnedFd)> {
    let master = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC)
        .open("/dev/pts/ptmx")?;
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one integer, which outlives the call.
    let unlocked =
        unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK as _, &raw const unlock) };
    sys::check(unlocked.into())?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags and returns a new descriptor; no path is looked up.
    let raw = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER as _, flags) };
    let raw = sys::check(raw.into())?;
    let raw = i32::try_from(raw).map_err(io::Error::other)?;
    // SAFETY: the kernel has just returned this descriptor to us.
    Ok((master, unsafe { OwnedFd::from_raw_fd(raw) }))
}

fn mount_console(slave: &OwnedFd) -> io::Result<()> {
    let name = std::fs::read_link(format!("/proc/self/fd/{}", slave.as_raw_fd()))?;
    let target = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open("/dev/console")?;
    let tree = sys::clone_tree(Path::new(&name), false)?;
    sys::move_mount(tree.as_fd(), target.as_fd())
}
