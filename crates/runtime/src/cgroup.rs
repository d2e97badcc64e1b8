//! Control groups: limits, accounting, killing and removing, on cgroup v1 and v2.
//!
//! Reads `/proc/self/mountinfo` once and the files of groups; writes below the hierarchy's root only. Paths such as
//! `/kubepods/pod1/c1` count from the configured base, by default the root of the hierarchy: the runtime's own
//! group may be nested anywhere.
//!
//! Invariants: what limits become is decided by pure functions ([`v1::plan`], [`v2::plan`]); removal never leaves a
//! child group behind and never waits longer than [`REMOVE_ATTEMPTS`] steps.

mod devices;
mod v1;
mod v2;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::api::Stats;
use crate::config::Resources;
use crate::sys;

pub(crate) use devices::{DeviceKind, DeviceRule};

/// How often a group that is still busy is tried again; the kernel empties it only once its tasks are reaped.
const REMOVE_ATTEMPTS: u32 = 100;
/// Pause between those tries. The kernel offers no notification for "empty" on v1.
const REMOVE_PAUSE: Duration = Duration::from_millis(5);
/// Deepest nesting that removal follows.
const MAX_DEPTH: u32 = 64;

/// What can go wrong with a control group.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A file or directory cannot be used.
    #[error("{op} {path}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A limit needs a controller that this host does not have.
    #[error("no {0} controller on this host")]
    NoController(String),
    /// No control group hierarchy is mounted.
    #[error("no control groups are mounted")]
    NotMounted,
}

type Result<T> = std::result::Result<T, CgroupError>;

fn fail(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.to_owned();
    move |source| CgroupError::Io { op, path, source }
}

/// The control group hierarchies of this host.
#[derive(Debug, Clone)]
pub struct Cgroups {
    layout: Layout,
    /// Prefix of every path, without a trailing slash; empty is the root.
    base: String,
}

#[derive(Debug, Clone)]
enum Layout {
    /// Mount point by controller.
    V1(BTreeMap<String, PathBuf>),
    /// The mount point.
    V2(PathBuf),
}

impl Cgroups {
    /// Finds the hierarchies. `base` is put before every path; empty counts from the root.
    ///
    /// # Errors
    /// When none is mounted or `/proc` cannot be read.
    pub fn detect(base: &str) -> Result<Self> {
        let path = Path::new("/proc/self/mountinfo");
        let text = fs::read_to_string(path).map_err(fail("read", path))?;
        let layout = layout(&text).ok_or(CgroupError::NotMounted)?;
        Ok(Self {
            layout,
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// 1 or 2.
    pub fn version(&self) -> u8 {
        match self.layout {
            Layout::V1(_) => 1,
            Layout::V2(_) => 2,
        }
    }

    /// The prefix given to [`Cgroups::detect`].
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The directories of a group, one per hierarchy, with the controllers each serves.
    pub(crate) fn directories(&self, path: &str) -> Vec<(String, PathBuf)> {
        let at = |mount: &Path| PathBuf::from(format!("{}{}{path}", mount.display(), self.base));
        match &self.layout {
            Layout::V1(mounts) => mounts
                .iter()
                .map(|(name, mount)| (name.clone(), at(mount)))
                .collect(),
            Layout::V2(mount) => vec![(String::new(), at(mount))],
        }
    }

    fn directory(&self, controller: &str, path: &str) -> Result<PathBuf> {
        self.directories(path)
            .into_iter()
            .find(|(name, _)| name.is_empty() || name == controller)
            .map(|(_, dir)| dir)
            .ok_or_else(|| CgroupError::NoController(controller.to_owned()))
    }

    /// Whether the group exists in any hierarchy.
    pub fn exists(&self, path: &str) -> bool {
        self.directories(path).iter().any(|(_, dir)| dir.is_dir())
    }

    /// Makes a group, with its parents, and sets its limits. An existing one is only updated.
    ///
    /// # Errors
    /// When a directory or limit is refused.
    pub fn create(&self, path: &str, resources: &Resources) -> Result<()> {
        match &self.layout {
            Layout::V1(mounts) => {
                for (controller, mount) in mounts {
                    v1::make(controller, mount, &format!("{}{path}", self.base))?;
                }
            }
            Layout::V2(mount) => v2::make(mount, &format!("{}{path}", self.base))?,
        }
        self.update(path, resources)
    }

    /// Sets the limits that `resources` names.
    ///
    /// # Errors
    /// When a limit is refused or its controller is missing.
    pub fn update(&self, path: &str, resources: &Resources) -> Result<()> {
        let plan = match self.layout {
            Layout::V1(_) => v1::plan(resources),
            Layout::V2(_) => v2::plan(resources),
        };
        for setting in plan {
            let file = self
                .directory(&setting.controller, path)?
                .join(&setting.file);
            match fs::write(&file, &setting.value) {
                Err(e) if setting.optional && e.kind() == io::ErrorKind::NotFound => {}
                result => result.map_err(fail("write", &file))?,
            }
        }
        Ok(())
    }

    /// Lets the group's tasks use only the devices that `rules` allow.
    pub(crate) fn restrict_devices(&self, path: &str, rules: &[DeviceRule]) -> Result<()> {
        let dir = self.directory("devices", path)?;
        match self.layout {
            Layout::V1(_) => v1::restrict_devices(&dir, rules),
            Layout::V2(_) => {
                devices::attach(&dir, rules).map_err(fail("attach device filter to", &dir))
            }
        }
    }

    /// The files a process writes `0` to in order to join the group.
    pub(crate) fn join_files(&self, path: &str) -> Vec<PathBuf> {
        self.directories(path)
            .into_iter()
            .map(|(_, dir)| dir.join("cgroup.procs"))
            .collect()
    }

    /// Processes in the group and below.
    pub fn pids(&self, path: &str) -> Vec<i32> {
        let mut pids = Vec::new();
        for (_, dir) in self.directories(path) {
            collect_pids(&dir, MAX_DEPTH, &mut pids);
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Sends SIGKILL to everything in the group and below. New forks may need another call.
    pub fn kill(&self, path: &str) {
        if let Layout::V2(_) = self.layout {
            for (_, dir) in self.directories(path) {
                if fs::write(dir.join("cgroup.kill"), "1").is_ok() {
                    return;
                }
            }
        }
        for pid in self.pids(path) {
            // A failure means that it is gone, or that it is stopped from dying by the kernel; the caller looks again.
            let _ = sys::kill(pid, libc::SIGKILL);
        }
    }

    /// Kills what is left in a group and removes it with everything below. Succeeds if it is gone.
    ///
    /// # Errors
    /// When it stays busy for [`REMOVE_ATTEMPTS`] tries.
    pub fn remove(&self, path: &str) -> Result<()> {
        for attempt in 1.. {
            match self.try_remove(path) {
                Ok(()) => return Ok(()),
                Err(error) if attempt >= REMOVE_ATTEMPTS => return Err(error),
                Err(_) => {
                    self.kill(path);
                    pause(REMOVE_PAUSE);
                }
            }
        }
        Ok(())
    }

    /// One try at removing a group that should be empty.
    pub(crate) fn try_remove(&self, path: &str) -> Result<()> {
        for (_, dir) in self.directories(path) {
            remove_tree(&dir, MAX_DEPTH)?;
        }
        Ok(())
    }

    /// Removes a group only if it has neither tasks nor children.
    pub fn remove_if_empty(&self, path: &str) -> bool {
        self.directories(path)
            .iter()
            .all(|(_, dir)| match fs::remove_dir(dir) {
                Ok(()) => true,
                Err(e) => e.kind() == io::ErrorKind::NotFound,
            })
    }

    /// Resource use of a group.
    ///
    /// # Errors
    /// When the group does not exist.
    pub fn stats(&self, path: &str) -> Result<Stats> {
        let read = |controller: &str, file: &str| -> Result<String> {
            let file = self.directory(controller, path)?.join(file);
            fs::read_to_string(&file).map_err(fail("read", &file))
        };
        let mut stats = match self.layout {
            Layout::V1(_) => v1::stats(&read)?,
            Layout::V2(_) => v2::stats(&read)?,
        };
        stats.timestamp = sys::wall_nanos();
        Ok(stats)
    }

    /// How many processes of the group the OOM killer took; 0 when unknown.
    pub fn oom_kills(&self, path: &str) -> u64 {
        let file = match self.layout {
            Layout::V1(_) => "memory.oom_control",
            Layout::V2(_) => "memory.events",
        };
        self.directory("memory", path)
            .ok()
            .and_then(|dir| fs::read_to_string(dir.join(file)).ok())
            .and_then(|text| field(&text, "oom_kill"))
            .unwrap_or(0)
    }

    /// A descriptor that becomes readable when the group may have run out of memory.
    pub(crate) fn watch_oom(&self, path: &str) -> Option<OomWatch> {
        let dir = self.directory("memory", path).ok()?;
        match self.layout {
            Layout::V1(_) => v1::watch_oom(&dir).ok(),
            Layout::V2(_) => sys::watch_modify(&dir.join("memory.events"))
                .ok()
                .map(|fd| OomWatch { fd, _keep: None }),
        }
    }
}

/// Watches a group for OOM.
#[derive(Debug)]
pub(crate) struct OomWatch {
    /// Readable after an event; reading it takes the event.
    pub(crate) fd: OwnedFd,
    /// v1 needs the file it watches to stay open.
    _keep: Option<fs::File>,
}

/// One file of a group and what to write to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    controller: String,
    file: String,
    value: String,
    /// Whether a kernel without this file is good enough.
    optional: bool,
}

impl Setting {
    fn new(controller: &str, file: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            controller: controller.to_owned(),
            file: file.into(),
            value: value.into(),
            optional: false,
        }
    }

    fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// Finds the hierarchies in the text of mountinfo.
///
/// A host with v1 controllers and a `unified` mount beside them is v1: the controllers are what counts.
fn layout(mountinfo: &str) -> Option<Layout> {
    const CONTROLLERS: &[&str] = &[
        "blkio",
        "cpu",
        "cpuacct",
        "cpuset",
        "devices",
        "freezer",
        "hugetlb",
        "memory",
        "net_cls",
        "net_prio",
        "perf_event",
        "pids",
    ];
    let (mut v1, mut v2) = (BTreeMap::new(), None);
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (Some(mount), [kind, _, options, ..]) = (left.get(4), right.as_slice()) else {
            continue;
        };
        match *kind {
            "cgroup2" if v2.is_none() => v2 = Some(PathBuf::from(mount)),
            "cgroup" => {
                for controller in options.split(',').filter(|o| CONTROLLERS.contains(o)) {
                    v1.entry(controller.to_owned())
                        .or_insert_with(|| PathBuf::from(mount));
                }
            }
            _ => {}
        }
    }
    if v1.contains_key("memory") || v1.contains_key("cpu") {
        Some(Layout::V1(v1))
    } else {
        v2.map(Layout::V2)
    }
}

fn collect_pids(dir: &Path, depth: u32, pids: &mut Vec<i32>) {
    if let Ok(text) = fs::read_to_string(dir.join("cgroup.procs")) {
        pids.extend(
            text.lines()
                .filter_map(|l| l.parse::<i32>().ok())
                .filter(|p| *p > 0),
        );
    }
    if depth > 0 {
        for child in children(dir) {
            collect_pids(&child, depth - 1, pids);
        }
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .map(|e| e.path())
        .collect()
}

fn remove_tree(dir: &Path, depth: u32) -> Result<()> {
    if depth > 0 {
        for child in children(dir) {
            remove_tree(&child, depth - 1)?;
        }
    }
    match fs::remove_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(fail("remove", dir)(e)),
        _ => Ok(()),
    }
}

/// The value after `key ` in a flat-keyed file.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(key)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

/// Waits in the kernel; for code without a runtime whose kernel interface offers no event to wait for.
pub(crate) fn pause(duration: Duration) {
    let ms = u16::try_from(duration.as_millis()).unwrap_or(u16::MAX);
    // An early return on a signal is harmless: callers look again.
    let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(ms));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_hosts_are_v1_and_unified_hosts_are_v2() {
        let hybrid = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw shared:3 - cgroup cgroup rw,memory\n\
                      40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let Some(Layout::V1(mounts)) = layout(hybrid) else {
            panic!("v1 expected")
        };
        assert_eq!(
            mounts.keys().collect::<Vec<_>>(),
            ["cpu", "cpuacct", "memory"]
        );
        assert_eq!(mounts["cpuacct"], Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        let unified =
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert!(matches!(layout(unified), Some(Layout::V2(m)) if m == Path::new("/sys/fs/cgroup")));
        assert!(layout("22 27 0:21 / /proc rw - proc proc rw\n").is_none());
    }

    #[test]
    fn keys_are_matched_whole() {
        let text = "oom 3\noom_kill 2\noom_kill_disable 7\n";
        assert_eq!(field(text, "oom_kill"), Some(2));
        assert_eq!(field(text, "under_oom"), None);
    }
}
