//! What a forked child of the shim does to become a container's process, or a command in a container.
//!
//! Reads the plan it inherits by the fork; writes mounts in a mount namespace of its own; reports to the shim over one
//! socket: the terminal's master, if there is one, or a message that says what failed. End of file on that socket,
//! which closes on exec, means that the program runs.
//!
//! Invariants: runs in a process with one thread; never returns to the shim's code; nothing on the host changes but the
//! membership of the container's control group and directories made for missing mount sources.

mod process;
mod rootfs;
mod terminal;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use crate::caps::CapSet;
use crate::cgroup::Cgroups;
use crate::config::{ContainerConfig, SandboxConfig};
use crate::seccomp::Filters;
use crate::sys;

/// First byte of the message that carries the terminal's master.
pub(crate) const MESSAGE_TERMINAL: u8 = b'T';
/// First byte of a message that says what failed.
pub(crate) const MESSAGE_ERROR: u8 = b'E';
/// Exit code of a child that could not execute its program, as containerd reports it.
pub(crate) const START_FAILED: i32 = 128;

/// Everything a container's process needs to know, the same for its first process and for commands run later.
pub(crate) struct Plan<'a> {
    pub(crate) sandbox: &'a SandboxConfig,
    pub(crate) config: &'a ContainerConfig,
    pub(crate) caps: CapSet,
    pub(crate) filters: &'a Filters,
    pub(crate) cgroups: &'a Cgroups,
    pub(crate) cgroup: &'a str,
    /// stdin, stdout, stderr; unused with a terminal.
    pub(crate) stdio: [Option<OwnedFd>; 3],
    pub(crate) tty: bool,
    pub(crate) argv: &'a [String],
    /// The socket to the shim.
    pub(crate) report: OwnedFd,
}

/// Namespaces that a new container needs from the sandbox.
pub(crate) struct SandboxParts<'a> {
    /// A mount namespace that holds nothing but the shared `/dev/shm`; `None` means the host's.
    pub(crate) shm: Option<BorrowedFd<'a>>,
    /// The host's mount namespace.
    pub(crate) host_mounts: BorrowedFd<'a>,
    /// Source of `/etc/resolv.conf`.
    pub(crate) resolv_conf: Option<PathBuf>,
}

/// Text for people: what failed and why.
pub(crate) type Failure = String;

/// Adds what was being done to an I/O error.
fn during<T>(what: impl FnOnce() -> String) -> impl FnOnce(io::Error) -> Result<T, Failure> {
    move |error| Err(format!("{}: {error}", what()))
}

/// Becomes a container's first process.
pub(crate) fn run_container(plan: &Plan<'_>, parts: &SandboxParts<'_>) -> ! {
    finish(plan, || start_container(plan, parts))
}

/// Becomes a command in the container whose first process `pidfd` names.
pub(crate) fn run_exec(plan: &Plan<'_>, pidfd: BorrowedFd<'_>) -> ! {
    finish(plan, || {
        prepare(plan)?;
        sys::setns(pidfd, libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP)
            .or_else(during(|| "join the container's namespaces".to_owned()))?;
        if plan.tty {
            terminal::set_up(plan.report.as_fd(), plan.config.user.uid, false)?;
        }
        process::become_program(plan)
    })
}

/// Runs `body`, which only returns on failure, and reports that.
fn finish(plan: &Plan<'_>, body: impl FnOnce() -> Result<std::convert::Infallible, Failure>) -> ! {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    let message = match result {
        Ok(Err(message)) => message,
        Err(_) => "the container's process panicked while starting".to_owned(),
    };
    let mut bytes = vec![MESSAGE_ERROR];
    bytes.extend_from_slice(message.as_bytes());
    // Without a listener there is nobody left to tell.
    let _ = sys::send_with_fds(plan.report.as_fd(), &bytes, &[]);
    sys::exit_now(START_FAILED)
}

fn start_container(
    plan: &Plan<'_>,
    parts: &SandboxParts<'_>,
) -> Result<std::convert::Infallible, Failure> {
    prepare(plan)?;
    rootfs::enter(plan, parts)?;
    if plan.tty {
        terminal::set_up(plan.report.as_fd(), plan.config.user.uid, true)?;
    }
    rootfs::restrict(plan.config)?;
    process::become_program(plan)
}

/// The part that must happen in the host's namespaces.
fn prepare(plan: &Plan<'_>) -> Result<(), Failure> {
    sys::reset_signals();
    nix::unistd::setsid()
        .map_err(io::Error::from)
        .or_else(during(|| "setsid".to_owned()))?;
    std::fs::write(
        "/proc/self/oom_score_adj",
        plan.config.oom_score_adj.to_string(),
    )
    .or_else(during(|| "set oom_score_adj".to_owned()))?;
    for file in plan.cgroups.join_files(plan.cgroup) {
        std::fs::write(&file, "0").or_else(during(|| format!("join {}", file.display())))?;
    }
    // From here on no process of the container may look into this one, which still knows the host.
    sys::prctl(libc::PR_SET_DUMPABLE, 0, 0).or_else(during(|| "become undumpable".to_owned()))?;
    // A session keyring of its own; kernels without keys need none.
    // SAFETY: KEYCTL_JOIN_SESSION_KEYRING (1) with a null name makes an anonymous keyring.
    let _ = sys::check(unsafe { libc::syscall(libc::SYS_keyctl, 1, 0, 0, 0, 0) });
    if !plan.tty {
        for (fd, target) in plan.stdio.iter().zip(0..) {
            let null;
            let source = match fd {
                Some(fd) => fd.as_raw_fd(),
                None => {
                    null = std::fs::File::options()
                        .read(true)
                        .write(true)
                        .open("/dev/null")
                        .or_else(during(|| "open /dev/null".to_owned()))?;
                    null.as_raw_fd()
                }
            };
            nix::unistd::dup2(source, target)
                .map_err(io::Error::from)
                .or_else(during(|| "set up stdio".to_owned()))?;
        }
    }
    Ok(())
}
