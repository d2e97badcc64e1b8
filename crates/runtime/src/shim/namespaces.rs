//! The namespaces of a sandbox: the shim lives in them and so holds them.
//!
//! Reads the sandbox's configuration; writes kernel parameters of the new namespaces and the loopback interface's
//! state. Invariants: the shim stays in the host's mount and PID namespaces; nothing is mounted where the host
//! could see it; a pause process exists only if containers share a PID namespace.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use crate::caps::CapSet;
use crate::cgroup::Cgroups;
use crate::config::{Network, Resources, SandboxConfig};
use crate::sys;

/// Size of `/dev/shm` unless the sandbox says otherwise.
const DEFAULT_SHM_BYTES: u64 = 64 << 20;
/// Who the pause process runs as.
const PAUSE_UID: u32 = 65_535;

/// What containerd sets in every pod network: no program needs a capability to listen or to ping.
const DEFAULT_SYSCTLS: &[(&str, &str)] = &[
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv4.ping_group_range", "0 2147483647"),
];

/// What the shim holds open for its containers.
pub(super) struct Namespaces {
    pub(super) host_mounts: OwnedFd,
    pub(super) host_pids: OwnedFd,
    /// Mount namespace with nothing but the shared memory file system.
    pub(super) shm: Option<OwnedFd>,
    pub(super) pause: Option<Pause>,
}

/// First process of a PID namespace that containers share.
pub(super) struct Pause {
    pub(super) pid: i32,
    pub(super) pids: OwnedFd,
}

/// Adds what was being done to an I/O error.
fn during<T>(what: impl Into<String>) -> impl FnOnce(io::Error) -> Result<T, String> {
    let what = what.into();
    move |error| Err(format!("{what}: {error}"))
}

fn open(path: &str) -> io::Result<OwnedFd> {
    fs::File::open(path).map(OwnedFd::from)
}

/// Enters (or makes) the sandbox's namespaces.
pub(super) fn enter(
    config: &SandboxConfig,
    dir: &Path,
    cgroups: &Cgroups,
    group: &str,
) -> Result<Namespaces, String> {
    let host_mounts = open("/proc/self/ns/mnt").or_else(during("open mount namespace"))?;
    let host_pids = open("/proc/self/ns/pid").or_else(during("open PID namespace"))?;
    match &config.network {
        Network::Host => {}
        Network::Path(path) => {
            let what = || format!("join network namespace {}", path.display());
            let file = fs::File::open(path).or_else(during(what()))?;
            sys::setns(file.as_fd(), libc::CLONE_NEWNET).or_else(during(what()))?;
        }
        Network::Isolated => {
            sys::unshare(libc::CLONE_NEWNET).or_else(during("make network namespace"))?
        }
    }
    if config.network != Network::Host {
        sys::loopback_up().or_else(during("bring loopback up"))?;
        sys::unshare(libc::CLONE_NEWUTS).or_else(during("make UTS namespace"))?;
        nix::unistd::sethostname(&config.hostname)
            .map_err(io::Error::from)
            .or_else(during("set host name"))?;
    }
    if !config.host_ipc {
        sys::unshare(libc::CLONE_NEWIPC).or_else(during("make IPC namespace"))?;
    }
    set_sysctls(config)?;
    let shm = if config.host_ipc {
        None
    } else {
        Some(make_shm(config, dir, &host_mounts)?)
    };
    let pause = if config.share_process_namespace {
        cgroups
            .create(group, &Resources::default())
            .map_err(|e| format!("control group of the pause process: {e}"))?;
        Some(start_pause(dir, cgroups, group, &host_pids)?)
    } else {
        None
    };
    Ok(Namespaces {
        host_mounts,
        host_pids,
        shm,
        pause,
    })
}

fn set_sysctls(config: &SandboxConfig) -> Result<(), String> {
    if config.network != Network::Host {
        for (name, value) in DEFAULT_SYSCTLS
            .iter()
            .filter(|(n, _)| !config.sysctls.contains_key(*n))
        {
            // A kernel may lack one of them; programs then need the capability, as ever.
            let _ = fs::write(sysctl_path(name), value);
        }
    }
    for (name, value) in &config.sysctls {
        fs::write(sysctl_path(name), value)
            .or_else(during(format!("set sysctl {name}={value}")))?;
    }
    Ok(())
}

/// `a.b.c` and `a/b/c` name the same; the first separator tells which of the two separates.
fn sysctl_path(name: &str) -> String {
    let slashes = name
        .find(['.', '/'])
        .is_some_and(|i| name.as_bytes()[i] == b'/');
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    let path: String = if slashes {
        name.to_owned()
    } else {
        name.chars().map(swap).collect()
    };
    format!("/proc/sys/{path}")
}

/// Makes a mount namespace whose root is the pod's shared memory file system, and returns to the host's.
fn make_shm(config: &SandboxConfig, dir: &Path, host: &OwnedFd) -> Result<OwnedFd, String> {
    let size = if config.shm_size_bytes == 0 {
        DEFAULT_SHM_BYTES
    } else {
        config.shm_size_bytes
    };
    let result = (|| {
        sys::unshare(libc::CLONE_NEWNS)?;
        let namespace = open("/proc/self/ns/mnt")?;
        pivot_to_tmpfs(dir, &format!("mode=1777,size={size}"))?;
        Ok(namespace)
    })();
    sys::setns(host.as_fd(), libc::CLONE_NEWNS).or_else(during("return to the host's mounts"))?;
    result.or_else(during("make shared memory"))
}

/// Leaves this mount namespace with a fresh tmpfs and nothing else. `dir` is only a place to put it for a moment.
fn pivot_to_tmpfs(dir: &Path, options: &str) -> io::Result<()> {
    sys::mount("", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "")?;
    sys::mount(
        "shm",
        dir,
        "tmpfs",
        libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
        options,
    )?;
    std::env::set_current_dir(dir)?;
    sys::pivot_to_cwd()
}

/// Forks into a new PID namespace; the parent returns to the host's.
fn start_pause(
    dir: &Path,
    cgroups: &Cgroups,
    group: &str,
    host: &OwnedFd,
) -> Result<Pause, String> {
    let (ready, report) = sys::pipe().or_else(during("pipe"))?;
    sys::unshare(libc::CLONE_NEWPID).or_else(during("make PID namespace"))?;
    let forked = sys::fork();
    if let Ok(None) = forked {
        let result = std::panic::catch_unwind(|| become_pause(dir, cgroups, group));
        let text = match result {
            Ok(Err(error)) => error.to_string(),
            _ => String::new(),
        };
        if !text.is_empty() {
            let _ = sys::write(report.as_fd(), text.as_bytes());
            sys::exit_now(1);
        }
        reap_for_ever(report)
    }
    sys::setns(host.as_fd(), libc::CLONE_NEWPID).or_else(during("return to the host's PIDs"))?;
    let pid = forked.or_else(during("fork"))?.unwrap_or_default();
    drop(report);
    let mut text = vec![0; 512];
    match sys::read(ready.as_fd(), &mut text).or_else(during("read"))? {
        0 => {}
        n => {
            return Err(format!(
                "pause process: {}",
                String::from_utf8_lossy(&text[..n])
            ));
        }
    }
    let pids =
        open(&format!("/proc/{pid}/ns/pid")).or_else(during("open the pod's PID namespace"))?;
    Ok(Pause { pid, pids })
}

/// Gives up everything: the pause process must be worth nothing to a container that sees it.
fn become_pause(dir: &Path, cgroups: &Cgroups, group: &str) -> io::Result<()> {
    sys::reset_signals();
    nix::unistd::setsid()?;
    sys::prctl(libc::PR_SET_NAME, c"pause".as_ptr() as libc::c_ulong, 0)?;
    for file in cgroups.join_files(group) {
        fs::write(file, "0")?;
    }
    // Through /proc/1/root a container could otherwise reach the host's files.
    sys::unshare(libc::CLONE_NEWNS)?;
    pivot_to_tmpfs(dir, "size=0k,mode=555")?;
    CapSet::EMPTY.apply_bounding()?;
    nix::unistd::setgroups(&[])?;
    let (uid, gid) = (
        nix::unistd::Uid::from_raw(PAUSE_UID),
        nix::unistd::Gid::from_raw(PAUSE_UID),
    );
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)?;
    sys::prctl(
        libc::PR_SET_PDEATHSIG,
        libc::SIGKILL.unsigned_abs().into(),
        0,
    )?;
    sys::prctl(libc::PR_SET_DUMPABLE, 0, 0)
}

/// Reaps orphans until the end of the namespace. Dropping `report` tells the shim that all is set.
fn reap_for_ever(report: OwnedFd) -> ! {
    drop(report);
    // SAFETY: this process never returns to code that holds a descriptor, and opens none.
    unsafe { sys::close_all(false) };
    loop {
        while sys::reap().is_some() {}
        // SAFETY: all-zero is a valid `sigset_t` and is initialised at once; sigwait blocks until a child ends.
        // A child that ends between the reaping above and this call leaves SIGCHLD pending only if it is blocked.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            if sys::reap().is_none() {
                let mut signal = 0;
                libc::sigwait(&raw const set, &raw mut signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_parameters_are_named_with_dots_or_slashes() {
        for (name, path) in [
            ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
            (
                "net/ipv4/conf/eth0.1/forwarding",
                "/proc/sys/net/ipv4/conf/eth0.1/forwarding",
            ),
            (
                "net.ipv4.conf.eth0/1.forwarding",
                "/proc/sys/net/ipv4/conf/eth0.1/forwarding",
            ),
        ] {
            assert_eq!(sysctl_path(name), path);
        }
    }
}
