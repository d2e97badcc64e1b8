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
    // The kernel's `struct sigaction`, all zero: default action, no flags, empty mask. Through the kernel and not libc,
    // since libc keeps signals 32 and 33 from its callers and a parent may have ignored them all the same.
    let default = [0u64; 4];
    for signal in 1..=64 {
        let none = std::ptr::null::<u64>();
        // SAFETY: the action outlives the call and the size of its mask is eight bytes; that SIGKILL and SIGSTOP are
        // refused is harmless.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, 8) };
    }
    // SAFETY: all-zero is a valid `sigset_t`, emptied properly before it is used.
    unsafe {
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
