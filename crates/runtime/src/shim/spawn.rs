//! Forks the children of a shim: containers and commands in them.
//!
//! Writes pipes and control groups; the rest happens in the child (see [`crate::init`]). Invariant: after a failure
//! nothing is left behind but a group, which removal of the container takes along.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::Shim;
use super::container::{Child, Container};
use super::proto::End;
use crate::api::ExecRequest;
use crate::cgroup::{DeviceKind, DeviceRule};
use crate::config::ContainerConfig;
use crate::init::{self, Plan, SandboxParts};
use crate::sys;

/// Which PID namespace a child is born into.
enum Pids<'a> {
    Host,
    New,
    Join(&'a OwnedFd),
}

/// Descriptors of a command for the agent, with what each is.
pub(super) type Ends = Vec<(End, OwnedFd)>;

fn text<T>(what: &str) -> impl FnOnce(io::Error) -> Result<T, String> {
    move |error| Err(format!("{what}: {error}"))
}

/// The sockets over which a child reports: (ours, the child's).
fn report_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    Ok(socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

impl Shim {
    /// Forks into a PID namespace; `None` in the child.
    fn fork_into(&self, pids: &Pids<'_>) -> io::Result<Option<i32>> {
        // These change the namespace of future children only; the shim stays where it is.
        match pids {
            Pids::Host => return sys::fork(),
            Pids::New => sys::unshare(libc::CLONE_NEWPID)?,
            Pids::Join(namespace) => sys::setns(namespace.as_fd(), libc::CLONE_NEWPID)?,
        }
        let forked = sys::fork();
        if !matches!(forked, Ok(None)) {
            sys::setns(self.namespaces.host_pids.as_fd(), libc::CLONE_NEWPID)?;
        }
        forked
    }

    /// Forks a container's first process. It reports over the child's socket.
    pub(super) fn spawn_container(&self, container: &mut Container) -> Result<(), String> {
        let config = &container.config;
        let cgroup = &container.status.cgroup;
        self.cgroups
            .create(cgroup, &config.resources)
            .map_err(|e| describe(&e))?;
        if !config.privileged {
            self.cgroups
                .restrict_devices(cgroup, &device_rules(config)?)
                .map_err(|e| describe(&e))?;
        }
        let oom = self.cgroups.watch_oom(cgroup);
        let mut ours = [None, None, None];
        let mut theirs = [None, None, None];
        if !config.tty {
            if config.stdin {
                let (read, write) = sys::pipe().or_else(text("pipe"))?;
                (theirs[0], ours[0]) = (Some(read), Some(write));
            }
            for i in 1..3 {
                let (read, write) = sys::pipe().or_else(text("pipe"))?;
                sys::set_nonblocking(read.as_fd()).or_else(text("pipe"))?;
                (theirs[i], ours[i]) = (Some(write), Some(read));
            }
        }
        let (report, child_report) = report_pair().or_else(text("socketpair"))?;
        let plan = Plan {
            sandbox: &self.config,
            config,
            caps: container.caps,
            filters: &container.filters,
            cgroups: &self.cgroups,
            cgroup,
            stdio: theirs,
            tty: config.tty,
            argv: &config.argv,
            report: child_report,
        };
        let parts = SandboxParts {
            shm: self.namespaces.shm.as_ref().map(AsFd::as_fd),
            host_mounts: self.namespaces.host_mounts.as_fd(),
            resolv_conf: self
                .config
                .resolv_conf
                .as_ref()
                .map(|_| self.dir.join("resolv.conf")),
        };
        let pids = match &self.namespaces.pause {
            Some(pause) => Pids::Join(&pause.pids),
            None if self.config.host_pid => Pids::Host,
            None => Pids::New,
        };
        let pid = match self.fork_into(&pids).or_else(text("fork"))? {
            None => init::run_container(&plan, &parts),
            Some(pid) => pid,
        };
        drop(plan);
        let [stdin, stdout, stderr] = ours;
        container.child = Some(Child {
            pid,
            report: Some(report),
            terminal: None,
            error: None,
            exit: None,
        });
        container.stdin = stdin;
        container.outputs = [stdout, stderr];
        container.oom = oom;
        Ok(())
    }

    /// Forks a command in a running container, with the streams for whoever asked for it.
    pub(super) fn spawn_exec(
        &self,
        container: &Container,
        request: &ExecRequest,
    ) -> Result<(Child, Ends), String> {
        let target = container
            .child
            .as_ref()
            .filter(|c| c.exit.is_none())
            .ok_or("container is not running")?
            .pid;
        // The shim reaps its children itself, so the pid still means this process.
        let pidfd = sys::pidfd_open(target).or_else(text("open the container's process"))?;
        let namespace = std::fs::File::open(format!("/proc/{target}/ns/pid"))
            .map(OwnedFd::from)
            .or_else(text("open the container's PID namespace"))?;
        let mut ends = Vec::new();
        let mut theirs = [None, None, None];
        if !request.tty {
            for (i, wanted, end) in [
                (0, request.stdin, End::Stdin),
                (1, request.stdout, End::Stdout),
                (2, request.stderr, End::Stderr),
            ] {
                if wanted {
                    let (read, write) = sys::pipe().or_else(text("pipe"))?;
                    let (own, other) = if i == 0 { (write, read) } else { (read, write) };
                    theirs[i] = Some(other);
                    ends.push((end, own));
                }
            }
        }
        let (report, child_report) = report_pair().or_else(text("socketpair"))?;
        let plan = Plan {
            sandbox: &self.config,
            config: &container.config,
            caps: container.caps,
            filters: &container.filters,
            cgroups: &self.cgroups,
            cgroup: &container.status.cgroup,
            stdio: theirs,
            tty: request.tty,
            argv: &request.argv,
            report: child_report,
        };
        let pid = match self
            .fork_into(&Pids::Join(&namespace))
            .or_else(text("fork"))?
        {
            None => init::run_exec(&plan, pidfd.as_fd()),
            Some(pid) => pid,
        };
        Ok((
            Child {
                pid,
                report: Some(report),
                terminal: None,
                error: None,
                exit: None,
            },
            ends,
        ))
    }
}

/// An error with its causes, in one line.
pub(super) fn describe(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        out.push_str(": ");
        out.push_str(&cause.to_string());
        next = cause.source();
    }
    out
}

/// The usual devices and those the container asks for.
fn device_rules(config: &ContainerConfig) -> Result<Vec<DeviceRule>, String> {
    let mut rules = DeviceRule::defaults();
    for device in &config.devices {
        let shown = device.host_path.display();
        let meta =
            std::fs::metadata(&device.host_path).map_err(|e| format!("device {shown}: {e}"))?;
        let kind = match meta.file_type() {
            t if t.is_char_device() => DeviceKind::Char,
            t if t.is_block_device() => DeviceKind::Block,
            _ => return Err(format!("{shown} is not a device")),
        };
        if device.permissions.is_empty() || !device.permissions.chars().all(|c| "rwm".contains(c)) {
            return Err(format!(
                "device {shown}: permissions {:?} are not some of rwm",
                device.permissions
            ));
        }
        let (major, minor) = (libc::major(meta.rdev()), libc::minor(meta.rdev()));
        rules.push(DeviceRule {
            kind,
            major: Some(major),
            minor: Some(minor),
            access: device.permissions.clone(),
        });
    }
    Ok(rules)
}

/// A copy of a descriptor.
pub(super) fn duplicate(fd: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC on an open descriptor returns a new one that is ours.
    let raw = sys::check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) }.into())?;
    let raw = i32::try_from(raw).map_err(io::Error::other)?;
    // SAFETY: see above.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(raw) })
}
