//! What callers tell the runtime about sandboxes and containers.
//!
//! Plain data, serialisable because it travels to the shim. Everything arrives resolved: the runtime knows no
//! image format, no user names and no Pods.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a sandbox's network lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The host's own network (and, as upstream does, its host name).
    Host,
    /// A namespace somebody else made and pinned at this path.
    Path(PathBuf),
    /// A new namespace with nothing but loopback, gone with the sandbox.
    #[default]
    Isolated,
}

/// A pod sandbox: the namespaces its containers share.
#[derive(Debug, Clone, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct SandboxConfig {
    /// Pod name.
    pub name: String,
    /// Pod namespace.
    pub namespace: String,
    /// Pod uid.
    pub uid: String,
    /// Counts sandboxes of one Pod.
    pub attempt: u32,
    /// Kept and reported, never interpreted.
    pub labels: BTreeMap<String, String>,
    /// Kept and reported, never interpreted.
    pub annotations: BTreeMap<String, String>,
    /// Host name of the UTS namespace; also `HOSTNAME` in containers.
    pub hostname: String,
    /// If set, becomes `/etc/resolv.conf` of every container that mounts nothing there.
    pub resolv_conf: Option<String>,
    /// Network namespace.
    pub network: Network,
    /// Namespaced kernel parameters, in dotted form.
    pub sysctls: BTreeMap<String, String>,
    /// One PID namespace for all containers.
    pub share_process_namespace: bool,
    /// The host's PID namespace.
    pub host_pid: bool,
    /// The host's IPC namespace and `/dev/shm`.
    pub host_ipc: bool,
    /// Control group of the pod, e.g. `/kubepods/burstable/pod1234`; containers live one level below.
    pub cgroup_parent: String,
    /// Limits of the pod as a whole, set on `cgroup_parent`.
    pub resources: Resources,
    /// Size of the shared `/dev/shm` in bytes; 64 MiB when zero.
    pub shm_size_bytes: u64,
}

/// How mounts made later travel between host and container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Propagation {
    /// Neither way.
    #[default]
    None,
    /// The container sees what the host mounts.
    HostToContainer,
    /// Both see what either mounts; the source must be on a shared mount.
    Bidirectional,
}

/// A bind mount.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// Source; a directory is made if nothing is there.
    pub host_path: PathBuf,
    /// Absolute path in the container; made if missing.
    pub container_path: PathBuf,
    /// Read-only, mounts below it included.
    #[serde(default)]
    pub read_only: bool,
    /// Propagation of later mounts.
    #[serde(default)]
    pub propagation: Propagation,
}

/// Where a container's root file system comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootFs {
    /// An overlay, mounted in the container's own mount namespace only; the host never sees it.
    Overlay {
        /// Read-only layers, topmost first.
        lower: Vec<PathBuf>,
        /// Writable layer.
        upper: PathBuf,
        /// Overlayfs' scratch directory, on the file system of `upper`.
        work: PathBuf,
        /// An empty directory to mount it on.
        merged: PathBuf,
    },
    /// A plain directory.
    Directory(PathBuf),
}

/// Which system calls a container may make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum SeccompProfile {
    /// The built-in allow list.
    RuntimeDefault,
    /// All of them.
    #[default]
    Unconfined,
    /// What an OCI profile file says.
    Localhost(PathBuf),
}

/// A device node passed into the container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    /// The node on the host.
    pub host_path: PathBuf,
    /// The node in the container.
    pub container_path: PathBuf,
    /// Any of `r`, `w`, `m`.
    pub permissions: String,
}

/// Limits of a control group. `None` leaves the kernel's default (or, on update, the present value).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Resources {
    /// Relative weight, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// Microseconds of CPU time per period; -1 is unlimited.
    pub cpu_quota_us: Option<i64>,
    /// Length of the period in microseconds.
    pub cpu_period_us: Option<u64>,
    /// Memory limit in bytes; -1 is unlimited.
    pub memory_limit_bytes: Option<i64>,
    /// Largest number of tasks; -1 is unlimited.
    pub pids_limit: Option<i64>,
    /// CPUs, as a list such as `0-2,7`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes, as a list.
    pub cpuset_mems: Option<String>,
    /// Limits of huge pages in bytes, by page size as the kernel names it (`2MB`).
    pub hugepage_limits: BTreeMap<String, u64>,
    /// Whether the OOM killer takes the whole group (cgroup v2 only).
    pub oom_group: Option<bool>,
    /// Further cgroup v2 files and their values; ignored on v1.
    pub unified: BTreeMap<String, String>,
}

/// When a container's log file is rotated by the shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRotation {
    /// Size in bytes from which on the file is rotated; 0 never rotates.
    pub max_size_bytes: u64,
    /// How many files are kept, the live one included.
    pub max_files: u32,
}

impl Default for LogRotation {
    /// The kubelet's defaults: 10 MiB, five files.
    fn default() -> Self {
        Self {
            max_size_bytes: 10 << 20,
            max_files: 5,
        }
    }
}

/// Who the container's process runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
}

/// A container.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// Name within the Pod.
    pub name: String,
    /// Counts restarts.
    pub attempt: u32,
    /// Kept and reported, never interpreted.
    pub labels: BTreeMap<String, String>,
    /// Kept and reported, never interpreted.
    pub annotations: BTreeMap<String, String>,
    /// Program and arguments, already resolved.
    pub argv: Vec<String>,
    /// Environment, in order; `PATH`, `HOME`, `HOSTNAME` (and `TERM` with a terminal) are added if missing.
    pub env: Vec<(String, String)>,
    /// Working directory; made if missing. `/` when empty.
    pub cwd: PathBuf,
    /// Bind mounts.
    pub mounts: Vec<Mount>,
    /// Root file system.
    pub rootfs: RootFs,
    /// Whether the process gets a terminal.
    pub tty: bool,
    /// Whether standard input stays open for [`Runtime::attach`](crate::Runtime::attach).
    pub stdin: bool,
    /// Whether standard input closes when the first attached client leaves.
    pub stdin_once: bool,
    /// Log file in CRI format; without it output is discarded (attached clients still get it).
    pub log_path: Option<PathBuf>,
    /// Rotation of the log file.
    pub log_rotation: LogRotation,
    /// User and groups.
    pub user: User,
    /// Capabilities to add to the default set.
    pub capabilities_add: Vec<String>,
    /// Capabilities to drop from the default set.
    pub capabilities_drop: Vec<String>,
    /// All capabilities, all devices, nothing masked, writable `/sys` and control groups, no seccomp.
    pub privileged: bool,
    /// Root file system mounted read-only.
    pub read_only_rootfs: bool,
    /// No program run in the container gains privileges.
    pub no_new_privs: bool,
    /// System call filter.
    pub seccomp: SeccompProfile,
    /// Paths hidden in the container; `None` is containerd's list.
    pub masked_paths: Option<Vec<String>>,
    /// Paths made read-only in the container; `None` is containerd's list.
    pub readonly_paths: Option<Vec<String>>,
    /// Limits.
    pub resources: Resources,
    /// The OOM killer's preference, -1000 to 1000.
    pub oom_score_adj: i32,
    /// Devices beyond the usual ones.
    pub devices: Vec<Device>,
}

impl Default for ContainerConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            attempt: 0,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            argv: Vec::new(),
            env: Vec::new(),
            cwd: PathBuf::new(),
            mounts: Vec::new(),
            rootfs: RootFs::Directory(PathBuf::new()),
            tty: false,
            stdin: false,
            stdin_once: false,
            log_path: None,
            log_rotation: LogRotation::default(),
            user: User::default(),
            capabilities_add: Vec::new(),
            capabilities_drop: Vec::new(),
            privileged: false,
            read_only_rootfs: false,
            no_new_privs: false,
            seccomp: SeccompProfile::default(),
            masked_paths: None,
            readonly_paths: None,
            resources: Resources::default(),
            oom_score_adj: 0,
            devices: Vec::new(),
        }
    }
}

/// What containerd hides from a container that is not privileged.
pub const DEFAULT_MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What containerd makes read-only in a container that is not privileged.
pub const DEFAULT_READONLY_PATHS: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

impl ContainerConfig {
    /// Checks what can be checked without touching the system.
    ///
    /// # Errors
    /// The field and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.argv.is_empty() || self.argv[0].is_empty() {
            return Err(("argv", "no command given".to_owned()));
        }
        let nul = |s: &str| s.contains('\0');
        if self.argv.iter().any(|a| nul(a)) {
            return Err(("argv", "contains a NUL byte".to_owned()));
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains('=') || nul(name) || nul(value) {
                return Err(("env", format!("invalid variable {name:?}")));
            }
        }
        if !self.cwd.as_os_str().is_empty() && !self.cwd.is_absolute() {
            return Err(("cwd", format!("{} is not absolute", self.cwd.display())));
        }
        for mount in &self.mounts {
            for path in [&mount.host_path, &mount.container_path] {
                if !path.is_absolute() {
                    return Err(("mounts", format!("{} is not absolute", path.display())));
                }
            }
        }
        if !(-1000..=1000).contains(&self.oom_score_adj) {
            return Err((
                "oom_score_adj",
                format!("{} is not within -1000..=1000", self.oom_score_adj),
            ));
        }
        crate::caps::CapSet::resolve(&self.capabilities_add, &self.capabilities_drop)
            .map_err(|e| ("capabilities", e.to_string()))?;
        Ok(())
    }
}

impl SandboxConfig {
    /// Checks what can be checked without touching the system.
    ///
    /// # Errors
    /// The field and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let clean = |p: &str| {
            p.starts_with('/')
                && p.len() > 1
                && p[1..].split('/').all(|c| !matches!(c, "" | "." | ".."))
        };
        if !clean(&self.cgroup_parent) {
            return Err((
                "cgroup_parent",
                format!("{:?} is not a clean absolute path", self.cgroup_parent),
            ));
        }
        if self.hostname.len() > 64 {
            return Err(("hostname", "longer than 64 bytes".to_owned()));
        }
        for name in self.sysctls.keys() {
            if name.is_empty()
                || name.contains("..")
                || name.starts_with(['.', '/'])
                || name.contains('\0')
            {
                return Err(("sysctls", format!("invalid name {name:?}")));
            }
        }
        if self.share_process_namespace && self.host_pid {
            return Err((
                "share_process_namespace",
                "cannot be combined with host_pid".to_owned(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_containers_are_refused_with_the_field_named() {
        let good = ContainerConfig {
            argv: vec!["/bin/true".into()],
            ..ContainerConfig::default()
        };
        assert_eq!(good.validate(), Ok(()));
        type Spoil = fn(&mut ContainerConfig);
        let rows: [(&str, Spoil); 7] = [
            ("argv", |c| c.argv.clear()),
            ("argv", |c| c.argv = vec!["a\0b".into()]),
            ("env", |c| c.env = vec![("A=B".into(), "x".into())]),
            ("cwd", |c| c.cwd = "tmp".into()),
            ("mounts", |c| {
                c.mounts = vec![Mount {
                    host_path: "x".into(),
                    container_path: "/x".into(),
                    read_only: false,
                    propagation: Propagation::None,
                }];
            }),
            ("oom_score_adj", |c| c.oom_score_adj = 1001),
            ("capabilities", |c| c.capabilities_add = vec!["FLY".into()]),
        ];
        for (field, spoil) in rows {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert_eq!(bad.validate().map_err(|e| e.0), Err(field));
        }
    }

    #[test]
    fn bad_sandboxes_are_refused_with_the_field_named() {
        let good = SandboxConfig {
            cgroup_parent: "/kubepods/pod1".into(),
            ..SandboxConfig::default()
        };
        assert_eq!(good.validate(), Ok(()));
        for parent in ["", "/", "kubepods", "/a/../b", "/a//b", "/a/"] {
            let bad = SandboxConfig {
                cgroup_parent: parent.into(),
                ..good.clone()
            };
            assert_eq!(
                bad.validate().map_err(|e| e.0),
                Err("cgroup_parent"),
                "{parent}"
            );
        }
        let bad = SandboxConfig {
            sysctls: [("net/../x".to_owned(), "1".to_owned())].into(),
            ..good
        };
        assert_eq!(bad.validate().map_err(|e| e.0), Err("sysctls"));
    }
}
