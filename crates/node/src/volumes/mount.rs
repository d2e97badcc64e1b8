//! Where volumes lie on the node, and what containers mount of them.
//!
//! Writes below a Pod's directory; mounts tmpfs for `emptyDir` in memory and binds for `subPath`. Invariants: a `subPath` is
//! opened beneath its volume and never leads out of it, whatever links are in it; everything can be repeated and undone
//! after a crash.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, Volume};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;
use object::Quantity;
use runtime::{Mount, Propagation};

use super::VolumeError;
use crate::env;

/// Where a volume's content lies.
pub fn host_path(pod_dir: &Path, volume: &Volume) -> Result<PathBuf, VolumeError> {
    if let Some(host) = &volume.host_path {
        return Ok(PathBuf::from(&host.path));
    }
    let plugin = if volume.empty_dir.is_some() {
        "kubernetes.io~empty-dir"
    } else if volume.config_map.is_some() {
        "kubernetes.io~configmap"
    } else if volume.secret.is_some() {
        "kubernetes.io~secret"
    } else if volume.downward_api.is_some() {
        "kubernetes.io~downward-api"
    } else if volume.projected.is_some() {
        "kubernetes.io~projected"
    } else {
        return Err(VolumeError::Unsupported(format!(
            "volume {:?}",
            volume.name
        )));
    };
    Ok(pod_dir.join("volumes").join(plugin).join(&volume.name))
}

/// The group that owns a Pod's volumes.
pub fn fs_group(pod: &Pod) -> Option<u32> {
    let group = pod.spec.as_ref()?.security_context.as_ref()?.fs_group?;
    u32::try_from(group).ok()
}

/// Sets up a volume whose content is not made of API objects.
pub fn set_up(pod: &Pod, pod_dir: &Path, volume: &Volume) -> Result<(), VolumeError> {
    let path = host_path(pod_dir, volume)?;
    if let Some(host) = &volume.host_path {
        return check_host_path(&path, host.type_.as_deref().unwrap_or_default());
    }
    let Some(empty) = &volume.empty_dir else {
        return Ok(());
    };
    let fresh = !path.is_dir();
    fs::create_dir_all(&path).map_err(VolumeError::io("create", &path))?;
    if empty.medium.as_deref() == Some("Memory") && !is_mount_point(&path) {
        let size = empty
            .size_limit
            .as_ref()
            .and_then(|limit| Quantity::parse(&limit.0).ok())
            .map(|limit| format!("size={},", limit.units()));
        let data = format!("{}mode=0777", size.unwrap_or_default());
        mount(
            Some("tmpfs"),
            &path,
            Some("tmpfs"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some(data.as_str()),
        )
        .map_err(|error| VolumeError::io("mount tmpfs on", &path)(error.into()))?;
    }
    if fresh {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))
            .map_err(VolumeError::io("set the mode of", &path))?;
        if let Some(group) = fs_group(pod) {
            own(&path, group)?;
        }
    }
    Ok(())
}

/// Gives a tree to a group, as the kubelet does for fsGroup.
pub fn own(path: &Path, group: u32) -> Result<(), VolumeError> {
    let meta = fs::symlink_metadata(path).map_err(VolumeError::io("inspect", path))?;
    std::os::unix::fs::lchown(path, None, Some(group))
        .map_err(VolumeError::io("change the group of", path))?;
    if meta.is_symlink() {
        return Ok(());
    }
    let mode = meta.permissions().mode() & 0o7777;
    let wanted = if meta.is_dir() {
        mode | 0o2770
    } else {
        mode | ((mode & 0o600) >> 3)
    };
    fs::set_permissions(path, fs::Permissions::from_mode(wanted))
        .map_err(VolumeError::io("set the mode of", path))?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)
            .map_err(VolumeError::io("list", path))?
            .flatten()
        {
            own(&entry.path(), group)?;
        }
    }
    Ok(())
}

fn check_host_path(path: &Path, wanted: &str) -> Result<(), VolumeError> {
    let kind = fs::metadata(path).ok().map(|meta| meta.file_type());
    let fail = |wanted| {
        Err(VolumeError::HostPath {
            path: path.display().to_string(),
            wanted,
        })
    };
    let is = |test: fn(&fs::FileType) -> bool| kind.as_ref().is_some_and(test);
    match wanted {
        "DirectoryOrCreate" if kind.is_none() => {
            fs::create_dir_all(path).map_err(VolumeError::io("create", path))
        }
        "FileOrCreate" if kind.is_none() => fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map(drop)
            .map_err(VolumeError::io("create", path)),
        "Directory" | "DirectoryOrCreate" if !is(fs::FileType::is_dir) => fail("directory"),
        "File" | "FileOrCreate" if !is(fs::FileType::is_file) => fail("file"),
        "Socket" if !is(FileTypeExt::is_socket) => fail("socket file"),
        "CharDevice" if !is(FileTypeExt::is_char_device) => fail("character device"),
        "BlockDevice" if !is(FileTypeExt::is_block_device) => fail("block device"),
        _ => Ok(()),
    }
}

/// The mounts of a container's volumes. `variables` is its environment, for `subPathExpr`.
pub fn mounts(
    pod: &Pod,
    pod_dir: &Path,
    container: &Container,
    variables: &[(String, String)],
) -> Result<Vec<Mount>, VolumeError> {
    let volumes = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten())
        .collect::<Vec<_>>();
    let mut mounts = Vec::new();
    for (index, wish) in container.volume_mounts.iter().flatten().enumerate() {
        let Some(volume) = volumes.iter().find(|volume| volume.name == wish.name) else {
            return Err(VolumeError::Unsupported(format!(
                "volume {:?}, which the Pod does not have",
                wish.name
            )));
        };
        let root = host_path(pod_dir, volume)?;
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let sub_path = match (&wish.sub_path, &wish.sub_path_expr) {
            (_, Some(expression)) if !expression.is_empty() => env::expand(expression, lookup),
            (Some(path), _) => path.clone(),
            _ => String::new(),
        };
        let host_path = if sub_path.is_empty() {
            root
        } else {
            let place = pod_dir
                .join("volume-subpaths")
                .join(&volume.name)
                .join(&container.name)
                .join(index.to_string());
            bind_sub_path(&root, &sub_path, &place)?;
            place
        };
        let objects = volume.config_map.is_some()
            || volume.secret.is_some()
            || volume.projected.is_some()
            || volume.downward_api.is_some();
        mounts.push(Mount {
            host_path,
            container_path: PathBuf::from(&wish.mount_path),
            // What comes from the API is the kubelet's to change, not the container's.
            read_only: wish.read_only == Some(true) || objects,
            propagation: match wish.mount_propagation.as_deref() {
                Some("HostToContainer") => Propagation::HostToContainer,
                Some("Bidirectional") => Propagation::Bidirectional,
                _ => Propagation::None,
            },
        });
    }
    Ok(mounts)
}

/// Binds what `sub_path` names beneath `root` to `place`.
fn bind_sub_path(root: &Path, sub_path: &str, place: &Path) -> Result<(), VolumeError> {
    if sub_path.starts_with('/') || sub_path.split('/').any(|part| part == "..") {
        return Err(VolumeError::Path(sub_path.to_owned()));
    }
    let fail =
        |op| move |error: nix::errno::Errno| VolumeError::io(op, root.join(sub_path))(error.into());
    let base = fs::File::open(root).map_err(VolumeError::io("open", root))?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let found = match openat2(base.as_raw_fd(), sub_path, how) {
        Err(nix::errno::Errno::ENOENT) => {
            make_beneath(&base, sub_path).map_err(fail("create"))?;
            openat2(base.as_raw_fd(), sub_path, how)
        }
        other => other,
    }
    .map_err(fail("open"))?;
    // Closed when dropped; the descriptor was just made and is nobody else's.
    let source = PathBuf::from(format!("/proc/self/fd/{found}"));
    let done = bind(&source, place);
    let _ = nix::unistd::close(found);
    done
}

fn bind(source: &Path, place: &Path) -> Result<(), VolumeError> {
    if is_mount_point(place) {
        umount2(place, MntFlags::MNT_DETACH)
            .map_err(|error| VolumeError::io("unmount", place)(error.into()))?;
    }
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(VolumeError::io("create", parent))?;
    }
    let is_dir = fs::metadata(source)
        .map_err(VolumeError::io("inspect", source))?
        .is_dir();
    if is_dir {
        fs::create_dir_all(place).map_err(VolumeError::io("create", place))?;
    } else if !place.exists() {
        fs::File::create(place).map_err(VolumeError::io("create", place))?;
    }
    mount(
        Some(source),
        place,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .map_err(|error| VolumeError::io("bind", place)(error.into()))
}

/// Makes directories one by one, each opened beneath the volume before the next is made in it.
fn make_beneath(base: &fs::File, path: &str) -> nix::Result<()> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let mut done = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let parent = if done.is_empty() {
            ".".to_owned()
        } else {
            done.clone()
        };
        let fd = openat2(base.as_raw_fd(), parent.as_str(), how)?;
        let made = nix::sys::stat::mkdirat(Some(fd), part, Mode::from_bits_truncate(0o755));
        let _ = nix::unistd::close(fd);
        match made {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
        if !done.is_empty() {
            done.push('/');
        }
        done.push_str(part);
    }
    Ok(())
}

fn is_mount_point(path: &Path) -> bool {
    let Ok(table) = fs::read_to_string("/proc/self/mountinfo") else {
        return false;
    };
    let Ok(path) = fs::canonicalize(path) else {
        return false;
    };
    mount_points(&table).any(|point| Path::new(&point) == path)
}

/// The mount points of a mountinfo table; spaces in them are written in octal.
fn mount_points(table: &str) -> impl Iterator<Item = String> {
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| point.replace("\\040", " "))
}

/// Unmounts everything below a Pod's directory and, if `remove`, removes it.
pub fn tear_down(pod_dir: &Path, remove: bool) -> Result<(), VolumeError> {
    let Ok(pod_dir) = fs::canonicalize(pod_dir) else {
        return Ok(());
    };
    let table = fs::read_to_string("/proc/self/mountinfo")
        .map_err(VolumeError::io("read", "/proc/self/mountinfo"))?;
    let mut points: Vec<_> = mount_points(&table)
        .filter(|point| Path::new(point).starts_with(&pod_dir))
        .collect();
    points.reverse();
    for point in points {
        umount2(point.as_str(), MntFlags::MNT_DETACH)
            .map_err(|error| VolumeError::io("unmount", &point)(error.into()))?;
    }
    if remove {
        match fs::remove_dir_all(&pod_dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(VolumeError::io("remove", pod_dir)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes a Pod's directory, for root only.
pub fn make_pod_dir(pod_dir: &Path) -> Result<(), VolumeError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(pod_dir)
        .map_err(VolumeError::io("create", pod_dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_paths_never_lead_out_of_their_volume() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (volume, place) = (dir.path().join("v"), dir.path().join("place"));
        fs::create_dir_all(volume.join("inner")).unwrap();
        fs::write(volume.join("inner/f"), "x").unwrap();
        std::os::unix::fs::symlink("inner", volume.join("good")).unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("evil")).unwrap();
        bind_sub_path(&volume, "good/f", &place.join("0")).unwrap();
        assert_eq!(fs::read_to_string(place.join("0")).unwrap(), "x");
        bind_sub_path(&volume, "new/deep", &place.join("1")).unwrap();
        assert!(volume.join("new/deep").is_dir());
        for bad in ["evil/passwd", "evil", "../x", "/etc"] {
            assert!(
                bind_sub_path(&volume, bad, &place.join("2")).is_err(),
                "{bad}"
            );
        }
        tear_down(dir.path(), false).unwrap();
        assert!(!is_mount_point(&place.join("0")));
    }
}
