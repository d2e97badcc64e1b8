//! Thin wrappers over the Linux calls that neither std nor nix offers.
//!
//! Reads and writes nothing of its own. Invariant: this is the only file where a raw system call
//! number appears, apart from the seccomp tables; every descriptor it returns is close-on-exec.

mod children;
mod mounts;

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) use children::*;
pub(crate) use mounts::*;

/// Turns a libc-style result into an `io::Result`.
pub(crate) fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn own(result: libc::c_long) -> io::Result<OwnedFd> {
    let raw = RawFd::try_from(check(result)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just returned this descriptor to us, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// A path as a C string; fails on an embedded NUL.
pub(crate) fn cstr(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// `fork(2)`. Only for the shim and its children, which have a single thread.
///
/// Returns the child's pid in the parent, `None` in the child.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: callers are single-threaded (the shim never starts a thread), so the child may go
    // on allocating and calling libc: no lock can be held by a thread that does not exist there.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// Ends this process at once, without running destructors or exit handlers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

/// `setns(2)`; `flags` may be zero or a set of `CLONE_NEW*` when `fd` is a pidfd.
pub(crate) fn setns(fd: BorrowedFd<'_>, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: a plain call on a descriptor we hold.
    check(unsafe { libc::setns(fd.as_raw_fd(), flags) }.into()).map(drop)
}

/// `unshare(2)`.
pub(crate) fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: no memory is passed; only this process's namespaces change.
    check(unsafe { libc::unshare(flags) }.into()).map(drop)
}

/// Closes every descriptor but the standard streams, or, with `on_exec`, marks them to close then.
///
/// # Safety
/// With `on_exec` false nothing in this process may own a descriptor above 2.
pub(crate) unsafe fn close_all(on_exec: bool) {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    let flags = if on_exec { CLOSE_RANGE_CLOEXEC } else { 0 };
    // SAFETY: takes three integers; that nobody owns what it closes is the caller's promise.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, flags) };
}

/// `pidfd_open(2)`.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers; the descriptor it returns is ours.
    own(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// `kill(2)`; a process that is gone already counts as success.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes two integers.
    match check(unsafe { libc::kill(pid, signal) }.into()) {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other.map(drop),
    }
}

/// `prctl(2)` with up to two arguments.
pub(crate) fn prctl(
    option: libc::c_int,
    arg2: libc::c_ulong,
    arg3: libc::c_ulong,
) -> io::Result<()> {
    // SAFETY: only called with options whose arguments are integers.
    check(unsafe { libc::prctl(option, arg2, arg3, 0 as libc::c_ulong, 0 as libc::c_ulong) }.into())
        .map(drop)
}

/// Replaces this process. Returns only on failure.
pub(crate) fn execve(path: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| {
        strings
            .iter()
            .map(|s| s.as_ptr())
            .chain(std::iter::once(std::ptr::null()))
            .collect::<Vec<_>>()
    };
    let (argv, envp) = (pointers(args), pointers(env));
    // SAFETY: both arrays end in NULL and their strings outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// `execveat(fd, "", …, AT_EMPTY_PATH)`. Returns only on failure.
pub(crate) fn execve_fd(fd: BorrowedFd<'_>, args: &[CString]) -> io::Error {
    let argv: Vec<_> = args
        .iter()
        .map(|s| s.as_ptr())
        .chain(std::iter::once(std::ptr::null()))
        .collect();
    let envp = [std::ptr::null::<libc::c_char>()];
    // SAFETY: both arrays end in NULL and their strings outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// A pipe: (read end, write end).
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(io::Error::from)
}

/// Makes a descriptor non-blocking. The flag belongs to the open file, so every copy sees it.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: fcntl with integer arguments on a descriptor the caller holds.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }.into())?;
    let flags = libc::c_int::try_from(flags).map_err(io::Error::other)? | libc::O_NONBLOCK;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) }.into()).map(drop)
}

/// `read(2)` into `buffer`.
pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    nix::unistd::read(fd.as_raw_fd(), buffer).map_err(io::Error::from)
}

/// `write(2)` of `buffer`.
pub(crate) fn write(fd: BorrowedFd<'_>, buffer: &[u8]) -> io::Result<usize> {
    nix::unistd::write(fd, buffer).map_err(io::Error::from)
}

/// Sends `bytes` with `fds` attached; non-blocking. Returns how many bytes went out.
pub(crate) fn send_with_fds(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[RawFd],
) -> io::Result<usize> {
    use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
    let iov = [io::IoSlice::new(bytes)];
    let rights = [ControlMessage::ScmRights(fds)];
    let control: &[ControlMessage<'_>] = if fds.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &iov, control, flags, None).map_err(io::Error::from)
}

/// Most descriptors one message may carry: stdin, stdout and stderr of an exec, with room.
pub(crate) const MAX_FDS_PER_MESSAGE: usize = 8;

/// Receives bytes and any descriptors that came along; non-blocking.
pub(crate) fn recv_with_fds(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
    let mut control = nix::cmsg_space!([RawFd; MAX_FDS_PER_MESSAGE]);
    let mut iov = [io::IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut iov, Some(&mut control), flags)?;
    let mut fds = Vec::new();
    for item in message.cmsgs().map_err(io::Error::from)? {
        if let ControlMessageOwned::ScmRights(raw) = item {
            // SAFETY: the kernel installed these descriptors for us with this very message.
            fds.extend(
                raw.into_iter()
                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            );
        }
    }
    Ok((message.bytes, fds))
}

/// Fills a buffer with random bytes.
pub(crate) fn random(buffer: &mut [u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe `buffer`; up to 256 bytes the call is never partial.
    let n = check(
        unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) } as libc::c_long,
    )?;
    if usize::try_from(n) == Ok(buffer.len()) {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::UnexpectedEof))
    }
}

/// Wall-clock time in nanoseconds since the Unix epoch.
///
/// Wall time only labels things (log lines, `started_at`); no decision depends on it.
#[expect(
    clippy::disallowed_methods,
    reason = "the I/O edge: stamps log lines and statuses, decides nothing"
)]
pub(crate) fn wall_nanos() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Monotonic time, for the deadlines of the shim, which has no tokio.
#[expect(
    clippy::disallowed_methods,
    reason = "the shim is a process without tokio; its deadlines feed poll(2)"
)]
pub(crate) fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}

/// Sets the size of a terminal; its foreground process group gets SIGWINCH.
pub(crate) fn set_window_size(terminal: BorrowedFd<'_>, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCSWINSZ reads one `winsize`, which outlives the call.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }.into())
        .map(drop)
}

/// Brings the loopback interface of this process's network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    // SAFETY: takes three integers; the descriptor it returns is ours.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let socket = own(socket.into())?;
    // SAFETY: all-zero is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    // SAFETY: SIOCGIFFLAGS fills the flags member of the `ifreq` whose name is set.
    let done = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCGIFFLAGS as _,
            &raw mut request,
        )
    };
    check(done.into())?;
    // SAFETY: the call above has just written this union member.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    let up = libc::c_short::try_from(libc::IFF_UP).map_err(io::Error::other)?;
    if flags & up != 0 {
        return Ok(());
    }
    request.ifr_ifru.ifru_flags = flags | up;
    // SAFETY: SIOCSIFFLAGS reads the `ifreq`.
    let done = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    };
    check(done.into()).map(drop)
}

/// A stream socket that belongs to this process's network namespace, not yet connected.
pub(crate) fn unconnected_socket(family: libc::c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes three integers; the descriptor it returns is ours.
    own(unsafe { libc::socket(family, kind, 0) }.into())
}

/// `eventfd(2)`, non-blocking.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: takes two integers; the descriptor it returns is ours.
    own(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }.into())
}

/// An inotify instance that watches one file for modification.
pub(crate) fn watch_modify(path: &Path) -> io::Result<OwnedFd> {
    let path = cstr(path)?;
    // SAFETY: takes one integer; the descriptor it returns is ours.
    let fd = own(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) }.into())?;
    // SAFETY: `path` is NUL-terminated and outlives the call.
    let watch = unsafe { libc::inotify_add_watch(fd.as_raw_fd(), path.as_ptr(), libc::IN_MODIFY) };
    check(watch.into())?;
    Ok(fd)
}

/// `poll(2)` until a descriptor is ready or `deadline` passes. Signals end it early, which callers take in their stride.
pub(crate) fn poll(
    fds: &mut [libc::pollfd],
    deadline: Option<std::time::Instant>,
) -> io::Result<()> {
    let timeout = match deadline {
        None => -1,
        // Rounded up, so that the deadline has passed when poll returns.
        Some(at) => i32::try_from(at.saturating_duration_since(monotonic()).as_millis() + 1)
            .unwrap_or(i32::MAX),
    };
    let count = libc::nfds_t::try_from(fds.len()).map_err(io::Error::other)?;
    // SAFETY: pointer and count describe `fds`.
    match check(unsafe { libc::poll(fds.as_mut_ptr(), count, timeout) }.into()) {
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
        other => other.map(drop),
    }
}
