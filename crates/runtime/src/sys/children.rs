//! Signals and children.
//!
//! Reads and writes nothing of its own. Invariant: as in [`super`].

use std::io;
use std::os::fd::OwnedFd;

use super::{check, own};

/// A descriptor that becomes readable when a child changes state; SIGCHLD itself is blocked.
pub(crate) fn child_signal_fd() -> io::Result<OwnedFd> {
    // SAFETY: all-zero is a valid `sigset_t`, which the next calls initialise properly.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` lives on this stack for all three calls; the descriptor returned is ours.
    unsafe {
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()).into())?;
        own(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())
    }
}

/// Restores default dispositions and an empty mask, as a new program expects.
///
/// Rust ignores SIGPIPE and the shim blocks SIGCHLD; both would survive `execve`.
pub(crate) fn reset_signals() {
    // SAFETY: `signal` and `sigprocmask` with SIG_DFL and an empty set; numbers that the kernel or
    // libc reserves make the call fail, which is harmless.
    unsafe {
        for signal in 1..65 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Reaps one exited child, if there is one: (pid, exit code as a shell would report it).
pub(crate) fn reap() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    (pid > 0).then(|| (pid, exit_code(status)))
}

/// Waits for one child to end.
pub(crate) fn wait_for(pid: i32) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the result.
        match check(unsafe { libc::waitpid(pid, &raw mut status, 0) }.into()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
            Ok(_) => return Ok(exit_code(status)),
        }
    }
}

fn exit_code(status: libc::c_int) -> i32 {
    if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        128 + libc::WTERMSIG(status)
    }
}
