//! Device nodes of a container.
//!
//! Reads the host's `/dev` and devices; writes nodes and links below the container's `/dev`, a fresh tmpfs. Invariant: what
//! a node may be used for is not decided here but by the control group.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag};

use super::{MAX_LINKS, place};
use crate::config::ContainerConfig;
use crate::init::{Failure, during};
use crate::sys;

/// Makes the usual nodes, those the container asks for, and for a privileged one all of the host's.
pub(super) fn make(config: &ContainerConfig, root: BorrowedFd<'_>) -> Result<(), Failure> {
    let dev = sys::open_in_root(root, Path::new("/dev"), libc::O_PATH | libc::O_DIRECTORY)
        .or_else(during(|| "open /dev".to_owned()))?;
    for (name, major, minor) in [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ] {
        make_node(
            dev.as_fd(),
            OsStr::new(name),
            SFlag::S_IFCHR,
            0o666,
            libc::makedev(major, minor),
        )
        .or_else(during(|| format!("make /dev/{name}")))?;
    }
    let base = PathBuf::from(format!("/proc/self/fd/{}", dev.as_raw_fd()));
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("core", "/proc/kcore"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, base.join(name)).or_else(during(|| format!("make /dev/{name}")))?;
    }
    for device in &config.devices {
        pass_device(root, &device.host_path, &device.container_path).or_else(during(|| {
            format!("pass device {}", device.host_path.display())
        }))?;
    }
    if config.privileged {
        pass_all_devices(root, Path::new("/dev"))
            .or_else(during(|| "pass the host's devices".to_owned()))?;
    }
    Ok(())
}

fn make_node(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    kind: SFlag,
    mode: u32,
    device: libc::dev_t,
) -> io::Result<()> {
    match nix::sys::stat::mknodat(
        Some(dir.as_raw_fd()),
        name,
        kind,
        Mode::from_bits_truncate(mode),
        device,
    ) {
        Err(nix::errno::Errno::EEXIST) => Ok(()),
        result => result.map_err(io::Error::from),
    }
}

fn pass_device(root: BorrowedFd<'_>, host: &Path, container: &Path) -> io::Result<()> {
    let meta = fs::metadata(host)?;
    let kind = match meta.file_type() {
        t if t.is_char_device() => SFlag::S_IFCHR,
        t if t.is_block_device() => SFlag::S_IFBLK,
        _ => return Err(io::Error::other("not a device")),
    };
    let (Some(parent), Some(name)) = (container.parent(), container.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let dir = place(root, parent, true, MAX_LINKS)?;
    make_node(
        dir.as_fd(),
        name,
        kind,
        meta.permissions().mode() & 0o777,
        meta.rdev(),
    )
}

/// Every device of the host, but for the directories that belong to the container itself.
fn pass_all_devices(root: BorrowedFd<'_>, dir: &Path) -> io::Result<()> {
    const OWN: &[&str] = &[
        "/dev/pts",
        "/dev/shm",
        "/dev/mqueue",
        "/dev/console",
        "/dev/ptmx",
        "/dev/hugepages",
    ];
    for entry in fs::read_dir(dir)?.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if OWN.iter().any(|own| path == Path::new(own)) {
            continue;
        }
        if kind.is_dir() {
            pass_all_devices(root, &path)?;
        } else if kind.is_char_device() || kind.is_block_device() {
            match pass_device(root, &path, &path) {
                // Gone since it was listed.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
    }
    Ok(())
}
