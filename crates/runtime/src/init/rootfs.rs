//! A container's file system: root, kernel file systems, devices, volumes, and what is hidden or read-only.
//!
//! Reads the host's mount table; writes mounts in this process's own mount namespace only, so that they vanish with the
//! container. Invariants: every place below the root is looked up with the root as `/` (`RESOLVE_IN_ROOT`), so no link
//! in an image leads out; sources are cloned before the tree stops propagating, so that bidirectional mounts stay peers.

mod devices;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::{Failure, Plan, SandboxParts, during};
use crate::config::{
    ContainerConfig, DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS, Mount, Propagation, RootFs,
};
use crate::sys;

/// Longest option string `mount(2)` takes: one page, less the terminator.
const MAX_MOUNT_DATA: usize = 4095;
/// Links followed when a mount point has to be made behind a dangling one.
const MAX_LINKS: u32 = 16;

/// A detached copy of mounts, and where it goes.
struct Bind {
    tree: OwnedFd,
    is_dir: bool,
    target: PathBuf,
    read_only: bool,
    propagation: Propagation,
}

/// Builds the container's root and makes it `/`.
pub(super) fn enter(plan: &Plan<'_>, parts: &SandboxParts<'_>) -> Result<(), Failure> {
    let shm = match parts.shm {
        None => None,
        Some(namespace) => Some(
            clone_shm(namespace, parts.host_mounts)
                .or_else(during(|| "share /dev/shm".to_owned()))?,
        ),
    };
    let mut namespaces = libc::CLONE_NEWNS;
    // As containerd: on v2 a container sees its own group as the root, unless privileged.
    if plan.cgroups.version() == 2 && !plan.config.privileged {
        namespaces |= libc::CLONE_NEWCGROUP;
    }
    let mut binds = Vec::new();
    sys::unshare(namespaces).or_else(during(|| "unshare mounts".to_owned()))?;
    for mount in sorted(&plan.config.mounts) {
        binds.push(clone_source(mount)?);
    }
    binds.extend(resolv_conf(plan, parts)?);
    let groups = clone_groups(plan)?;
    sys::mount("", Path::new("/"), "", libc::MS_REC | libc::MS_SLAVE, "")
        .or_else(during(|| "stop mount propagation".to_owned()))?;
    // Directories and devices below get exactly the modes they ask for.
    nix::sys::stat::umask(Mode::empty());
    let root_path = mount_root(&plan.config.rootfs)?;
    let root = open_dir(&root_path).or_else(during(|| format!("open {}", root_path.display())))?;
    kernel_mounts(plan, root.as_fd(), shm)?;
    group_mounts(plan, root.as_fd(), groups)?;
    devices::make(plan.config, root.as_fd())?;
    for bind in binds {
        attach(root.as_fd(), bind)?;
    }
    nix::unistd::fchdir(root.as_raw_fd())
        .map_err(io::Error::from)
        .or_else(during(|| "enter the root".to_owned()))?;
    sys::pivot_to_cwd().or_else(during(|| "pivot_root".to_owned()))
}

/// Hides and protects what the configuration says; runs with the container's root as `/`.
pub(super) fn restrict(config: &ContainerConfig) -> Result<(), Failure> {
    if config.read_only_rootfs {
        open_dir(Path::new("/"))
            .and_then(|root| sys::mount_setattr(root.as_fd(), false, sys::MOUNT_ATTR_RDONLY, 0))
            .or_else(during(|| "make the root read-only".to_owned()))?;
    }
    if config.privileged {
        return Ok(());
    }
    let or_default = |paths: &Option<Vec<String>>, default: &[&str]| {
        paths
            .clone()
            .unwrap_or_else(|| default.iter().map(|p| (*p).to_owned()).collect())
    };
    for path in or_default(&config.readonly_paths, DEFAULT_READONLY_PATHS) {
        existing(read_only_path(Path::new(&path)))
            .or_else(during(|| format!("make {path} read-only")))?;
    }
    for path in or_default(&config.masked_paths, DEFAULT_MASKED_PATHS) {
        existing(mask(Path::new(&path))).or_else(during(|| format!("mask {path}")))?;
    }
    Ok(())
}

/// What does not exist needs no protection.
fn existing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn read_only_path(path: &Path) -> io::Result<()> {
    let target = open_path(path)?;
    let tree = sys::clone_tree(path, true)?;
    sys::mount_setattr(tree.as_fd(), true, sys::MOUNT_ATTR_RDONLY, 0)?;
    sys::move_mount(tree.as_fd(), target.as_fd())
}

fn mask(path: &Path) -> io::Result<()> {
    let target = open_path(path)?;
    if fs::metadata(path)?.is_dir() {
        return sys::mount_at("tmpfs", target.as_fd(), "tmpfs", libc::MS_RDONLY, "size=0k");
    }
    let null = sys::clone_tree(Path::new("/dev/null"), false)?;
    sys::move_mount(null.as_fd(), target.as_fd())
}

fn open_path(path: &Path) -> io::Result<OwnedFd> {
    let raw = nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    // SAFETY: the kernel has just returned this descriptor to us.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(raw) })
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    fs::File::open(path).map(OwnedFd::from)
}

/// Fetches a copy of the sandbox's shared memory file system out of the namespace that holds it.
fn clone_shm(namespace: BorrowedFd<'_>, host: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    sys::setns(namespace, libc::CLONE_NEWNS)?;
    let tree = sys::clone_tree(Path::new("/"), false);
    sys::setns(host, libc::CLONE_NEWNS)?;
    tree
}

/// Mounts by depth, so that a volume inside another one lands on top of it.
fn sorted(mounts: &[Mount]) -> Vec<&Mount> {
    let mut mounts: Vec<_> = mounts.iter().collect();
    mounts.sort_by_key(|m| m.container_path.components().count());
    mounts
}

fn clone_source(mount: &Mount) -> Result<Bind, Failure> {
    let source = &mount.host_path;
    if let Err(error) = fs::metadata(source) {
        // As containerd: a missing source is made, as a directory.
        match error.kind() {
            io::ErrorKind::NotFound => fs::create_dir_all(source).or_else(during(|| {
                format!("create mount source {}", source.display())
            }))?,
            _ => return Err(format!("mount source {}: {error}", source.display())),
        }
    }
    if mount.propagation == Propagation::Bidirectional {
        let table = fs::read_to_string("/proc/self/mountinfo")
            .or_else(during(|| "read the mount table".to_owned()))?;
        let real = fs::canonicalize(source)
            .or_else(during(|| format!("mount source {}", source.display())))?;
        if !is_shared(&table, &real) {
            return Err(format!(
                "path {:?} is not on a shared mount",
                source.display().to_string()
            ));
        }
    }
    let fail = || format!("mount source {}", source.display());
    Ok(Bind {
        is_dir: fs::metadata(source).or_else(during(fail))?.is_dir(),
        tree: sys::clone_tree(source, true).or_else(during(fail))?,
        target: mount.container_path.clone(),
        read_only: mount.read_only,
        propagation: mount.propagation,
    })
}

/// Whether the mount that holds `path` is shared, by the text of mountinfo.
fn is_shared(mountinfo: &str, path: &Path) -> bool {
    let fields = mountinfo
        .lines()
        .map(|l| l.split(' ').collect::<Vec<_>>())
        .filter(|f| f.len() > 6);
    // Of several mounts at one place the last one counts.
    fields
        .filter(|f| path.starts_with(f[4].replace("\\040", " ")))
        .max_by_key(|f| f[4].len())
        .is_some_and(|f| {
            f[6..]
                .iter()
                .take_while(|o| **o != "-")
                .any(|o| o.starts_with("shared:"))
        })
}

fn resolv_conf(plan: &Plan<'_>, parts: &SandboxParts<'_>) -> Result<Option<Bind>, Failure> {
    let target = Path::new("/etc/resolv.conf");
    match &parts.resolv_conf {
        Some(source)
            if plan
                .config
                .mounts
                .iter()
                .all(|m| m.container_path != target) =>
        {
            let mount = Mount {
                host_path: source.clone(),
                container_path: target.to_owned(),
                read_only: plan.config.read_only_rootfs,
                propagation: Propagation::None,
            };
            clone_source(&mount).map(Some)
        }
        _ => Ok(None),
    }
}

/// Mounts the root file system; returns where.
fn mount_root(rootfs: &RootFs) -> Result<PathBuf, Failure> {
    match rootfs {
        RootFs::Directory(path) => {
            let fail = || format!("root directory {}", path.display());
            let tree = sys::clone_tree(path, true).or_else(during(fail))?;
            sys::mount_setattr(tree.as_fd(), true, 0, libc::MS_PRIVATE).or_else(during(fail))?;
            let target = open_path(path).or_else(during(fail))?;
            sys::move_mount(tree.as_fd(), target.as_fd()).or_else(during(fail))?;
            Ok(path.clone())
        }
        RootFs::Overlay {
            lower,
            upper,
            work,
            merged,
        } => {
            let fail = || format!("mount overlay at {}", merged.display());
            let (data, _open) = overlay_options(lower, upper, work).or_else(during(fail))?;
            sys::mount("overlay", merged, "overlay", 0, &data).or_else(during(fail))?;
            Ok(merged.clone())
        }
    }
}

/// The options of an overlay. If the names of the layers do not fit, they are named by open descriptors.
fn overlay_options(
    lower: &[PathBuf],
    upper: &Path,
    work: &Path,
) -> io::Result<(String, Vec<OwnedFd>)> {
    let escape = |p: &Path| {
        p.display()
            .to_string()
            .replace('\\', "\\\\")
            .replace(':', "\\:")
            .replace(',', "\\,")
    };
    let build = |lower: &[String]| {
        format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.join(":"),
            escape(upper),
            escape(work)
        )
    };
    let data = build(&lower.iter().map(|p| escape(p)).collect::<Vec<_>>());
    if data.len() <= MAX_MOUNT_DATA {
        return Ok((data, Vec::new()));
    }
    let open = lower
        .iter()
        .map(|p| open_path(p))
        .collect::<io::Result<Vec<_>>>()?;
    let names: Vec<_> = open
        .iter()
        .map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd()))
        .collect();
    let data = build(&names);
    if data.len() > MAX_MOUNT_DATA {
        return Err(io::Error::other(format!(
            "{} layers are too many for one mount",
            lower.len()
        )));
    }
    Ok((data, open))
}

/// Finds, or makes, a place below the root. Fresh look-ups see what was mounted meanwhile.
fn place(root: BorrowedFd<'_>, path: &Path, is_dir: bool, links: u32) -> io::Result<OwnedFd> {
    match sys::open_in_root(root, path, libc::O_PATH) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let dir = place(root, parent, true, links)?;
    let made = if is_dir {
        nix::sys::stat::mkdirat(Some(dir.as_raw_fd()), name, Mode::from_bits_truncate(0o755))
    } else {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        nix::fcntl::openat(
            Some(dir.as_raw_fd()),
            name,
            flags,
            Mode::from_bits_truncate(0o644),
        )
        .and_then(nix::unistd::close)
    };
    match made {
        // A link that leads nowhere yet: make what it names.
        Err(nix::errno::Errno::EEXIST) if links > 0 => {
            let target = nix::fcntl::readlinkat(Some(dir.as_raw_fd()), name)?;
            return place(root, &parent.join(target), is_dir, links - 1);
        }
        result => result?,
    }
    sys::open_in_root(root, path, libc::O_PATH)
}

fn attach(root: BorrowedFd<'_>, bind: Bind) -> Result<(), Failure> {
    let fail = || format!("mount at {}", bind.target.display());
    let target = place(root, &bind.target, bind.is_dir, MAX_LINKS).or_else(during(fail))?;
    let set = if bind.read_only {
        sys::MOUNT_ATTR_RDONLY
    } else {
        0
    };
    let propagation = match bind.propagation {
        Propagation::None => libc::MS_PRIVATE,
        Propagation::HostToContainer => libc::MS_SLAVE,
        Propagation::Bidirectional => libc::MS_SHARED,
    };
    sys::mount_setattr(bind.tree.as_fd(), true, set, propagation).or_else(during(fail))?;
    sys::move_mount(bind.tree.as_fd(), target.as_fd()).or_else(during(fail))
}

fn kernel_mounts(
    plan: &Plan<'_>,
    root: BorrowedFd<'_>,
    shm: Option<OwnedFd>,
) -> Result<(), Failure> {
    const QUIET: libc::c_ulong = libc::MS_NOSUID | libc::MS_NOEXEC | libc::MS_NODEV;
    let mount = |fstype: &str, at: &str, flags, data: &str| {
        place(root, Path::new(at), true, MAX_LINKS)
            .and_then(|target| sys::mount_at(fstype, target.as_fd(), fstype, flags, data))
    };
    let must = |result: io::Result<()>, at: &str| result.or_else(during(|| format!("mount {at}")));
    must(mount("proc", "/proc", QUIET, ""), "/proc")?;
    must(
        mount(
            "tmpfs",
            "/dev",
            libc::MS_NOSUID | libc::MS_STRICTATIME,
            "mode=755,size=65536k",
        ),
        "/dev",
    )?;
    let pts = "newinstance,ptmxmode=0666,mode=0620,gid=5";
    must(
        mount("devpts", "/dev/pts", libc::MS_NOSUID | libc::MS_NOEXEC, pts),
        "/dev/pts",
    )?;
    match mount("mqueue", "/dev/mqueue", QUIET, "") {
        // A kernel without POSIX message queues.
        Err(e) if e.raw_os_error() == Some(libc::ENODEV) => {}
        result => must(result, "/dev/mqueue")?,
    }
    let shm = match shm {
        Some(tree) => tree,
        None => sys::clone_tree(Path::new("/dev/shm"), false)
            .or_else(during(|| "share the host's /dev/shm".to_owned()))?,
    };
    let fail = || "mount /dev/shm".to_owned();
    let target = place(root, Path::new("/dev/shm"), true, MAX_LINKS).or_else(during(fail))?;
    sys::move_mount(shm.as_fd(), target.as_fd()).or_else(during(fail))?;
    must(mount("sysfs", "/sys", QUIET, ""), "/sys")?;
    if plan.config.privileged {
        return Ok(());
    }
    // Read-only by mount, not by file system, which other containers of the pod share.
    sys::open_in_root(root, Path::new("/sys"), libc::O_PATH)
        .and_then(|sys_dir| sys::mount_setattr(sys_dir.as_fd(), false, sys::MOUNT_ATTR_RDONLY, 0))
        .or_else(during(|| "make /sys read-only".to_owned()))
}

/// On v1: copies of the container's own group in every hierarchy, by the name of the hierarchy's directory.
fn clone_groups(plan: &Plan<'_>) -> Result<BTreeMap<PathBuf, OwnedFd>, Failure> {
    let mut groups = BTreeMap::new();
    if plan.cgroups.version() == 1 {
        for (controller, dir) in plan.cgroups.directories(plan.cgroup) {
            let tree = sys::clone_tree(&dir, false)
                .or_else(during(|| format!("control group {}", dir.display())))?;
            groups.insert(PathBuf::from(controller), tree);
        }
    }
    Ok(groups)
}

fn group_mounts(
    plan: &Plan<'_>,
    root: BorrowedFd<'_>,
    groups: BTreeMap<PathBuf, OwnedFd>,
) -> Result<(), Failure> {
    const AT: &str = "/sys/fs/cgroup";
    let fail = || format!("mount {AT}");
    let flags = libc::MS_NOSUID | libc::MS_NOEXEC | libc::MS_NODEV;
    let target = place(root, Path::new(AT), true, MAX_LINKS).or_else(during(fail))?;
    if plan.cgroups.version() == 2 {
        sys::mount_at("cgroup2", target.as_fd(), "cgroup2", flags, "").or_else(during(fail))?;
    } else {
        sys::mount_at("tmpfs", target.as_fd(), "tmpfs", flags, "mode=755").or_else(during(fail))?;
        for (name, tree) in groups {
            let target =
                place(root, &Path::new(AT).join(name), true, MAX_LINKS).or_else(during(fail))?;
            sys::move_mount(tree.as_fd(), target.as_fd()).or_else(during(fail))?;
        }
    }
    let quiet = sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NODEV | sys::MOUNT_ATTR_NOEXEC;
    let set = if plan.config.privileged {
        quiet
    } else {
        quiet | sys::MOUNT_ATTR_RDONLY
    };
    sys::open_in_root(root, Path::new(AT), libc::O_PATH)
        .and_then(|dir| sys::mount_setattr(dir.as_fd(), true, set, 0))
        .or_else(during(fail))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_innermost_mount_decides_whether_a_path_is_shared() {
        let table = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                     28 27 0:25 / /mnt rw shared:7 master:1 - tmpfs tmpfs rw\n\
                     29 28 0:26 / /mnt/private rw - tmpfs tmpfs shared:no\n";
        for (path, shared) in [
            ("/mnt/a", true),
            ("/mnt/private/x", false),
            ("/mntx", false),
            ("/etc", false),
        ] {
            assert_eq!(is_shared(table, Path::new(path)), shared, "{path}");
        }
    }

    #[test]
    fn long_layer_lists_are_named_by_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let short = overlay_options(
            &["/a:b".into(), "/c".into()],
            Path::new("/u"),
            Path::new("/w"),
        )
        .unwrap();
        assert_eq!(short.0, "lowerdir=/a\\:b:/c,upperdir=/u,workdir=/w");
        let layer = dir.path().join("a-layer-with-a-long-name");
        fs::create_dir(&layer).unwrap();
        let layers = vec![layer; 160];
        let (data, open) = overlay_options(&layers, Path::new("/u"), Path::new("/w")).unwrap();
        assert!(
            data.len() <= MAX_MOUNT_DATA && data.starts_with("lowerdir=/proc/self/fd/"),
            "{}",
            data.len()
        );
        assert_eq!(open.len(), 160);
    }

    #[test]
    fn places_are_made_inside_the_root_even_behind_hostile_links() {
        let outside = tempfile::tempdir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let root = open_dir(dir.path()).unwrap();
        symlink(outside.path(), dir.path().join("abs")).unwrap();
        symlink("../../../../../..", dir.path().join("up")).unwrap();
        symlink("later", dir.path().join("dangling")).unwrap();
        place(root.as_fd(), Path::new("/abs/x"), true, MAX_LINKS).unwrap();
        place(root.as_fd(), Path::new("/up/y"), true, MAX_LINKS).unwrap();
        place(root.as_fd(), Path::new("/dangling/z"), false, MAX_LINKS).unwrap();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(dir.path().join("y").is_dir());
        assert!(dir.path().join("later/z").is_file());
        assert!(
            dir.path()
                .join(outside.path().strip_prefix("/").unwrap())
                .join("x")
                .is_dir()
        );
    }
}
