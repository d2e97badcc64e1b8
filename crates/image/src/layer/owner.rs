//! Owner, mode, time and extended attributes of one unpacked entry.
//!
//! Invariants: attributes that overlayfs obeys (`trusted.*`, `user.overlay.*`) never come from an archive; the order is owner,
//! attributes, mode, time, because changing the owner clears capabilities and set-id bits.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::error::{ImageError, Result};
use crate::tarball::Entry;

/// Permission and set-id bits, without the file type.
const MODE_BITS: u32 = 0o7777;
const CAPABILITY: &[u8] = b"security.capability";
/// Access control lists; kept where the file system can.
const ACL_PREFIX: &[u8] = b"system.posix_acl_";
const USER_PREFIX: &[u8] = b"user.";
/// Attributes by which overlayfs redirects and hides; from an archive they would show files of other layers or none.
const OVERLAY_PREFIXES: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// What to give an entry.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    uid: Uid,
    gid: Gid,
    mode: Mode,
    pub(crate) mtime: Timestamps,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// What the archive says.
    pub(crate) fn of_entry(entry: &Entry, what: &str) -> Result<Self> {
        let id = |id: u64| {
            // The last value means "unchanged" to chown.
            let id = u32::try_from(id).ok().filter(|id| *id != u32::MAX);
            id.ok_or_else(|| {
                ImageError::corrupt(
                    what,
                    format!("entry {:?} has an owner that is no user id", entry.name()),
                )
            })
        };
        if let Some((name, _)) = entry
            .xattrs
            .iter()
            .find(|(name, _)| OVERLAY_PREFIXES.iter().any(|own| name.starts_with(own)))
        {
            let problem = format!(
                "sets the overlay attribute {}",
                String::from_utf8_lossy(name)
            );
            return Err(ImageError::entry(what, &entry.name(), problem));
        }
        let kept = |name: &[u8]| {
            name == CAPABILITY || name.starts_with(ACL_PREFIX) || name.starts_with(USER_PREFIX)
        };
        Ok(Self {
            uid: Uid::from_raw(id(entry.uid)?),
            gid: Gid::from_raw(id(entry.gid)?),
            mode: Mode::from_raw_mode(entry.mode & MODE_BITS),
            mtime: timestamps(entry.mtime.0, entry.mtime.1),
            xattrs: entry
                .xattrs
                .iter()
                .filter(|(name, _)| kept(name))
                .cloned()
                .collect(),
        })
    }

    /// What a directory below has.
    pub(crate) fn of_stat(stat: &Stat) -> Self {
        Self {
            uid: Uid::from_raw(stat.st_uid),
            gid: Gid::from_raw(stat.st_gid),
            mode: Mode::from_raw_mode(stat.st_mode & MODE_BITS),
            mtime: timestamps(
                stat.st_mtime,
                u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            ),
            xattrs: Vec::new(),
        }
    }

    /// A directory that nobody described.
    pub(crate) fn implied() -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        Self {
            uid,
            gid,
            mode: Mode::from_raw_mode(0o755),
            mtime: timestamps(0, 0),
            xattrs: Vec::new(),
        }
    }

    /// Applies everything to `name` in the directory `parent`. `link`: it is a symbolic link, which has no mode.
    pub(crate) fn apply(
        &self,
        parent: impl AsFd,
        name: &OsStr,
        shown: &str,
        link: bool,
    ) -> Result<()> {
        let failed = |operation| move |error| denied(operation, shown, error);
        let parent = parent.as_fd();
        rustix::fs::chownat(
            parent,
            name,
            Some(self.uid),
            Some(self.gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(failed("change the owner of"))?;
        for (key, value) in &self.xattrs {
            set_xattr(parent, name, key, value).or_else(|error| match error {
                Errno::OPNOTSUPP | Errno::PERM if key != CAPABILITY => Ok(()),
                error => Err(denied("set an extended attribute of", shown, error)),
            })?;
        }
        if !link {
            // Just created by us and not a link, so that nothing is followed.
            rustix::fs::chmodat(parent, name, self.mode, AtFlags::empty())
                .map_err(failed("change the mode of"))?;
        }
        rustix::fs::utimensat(parent, name, &self.mtime, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("set the time of"))
    }
}

/// Sets an extended attribute of `name` in `parent` itself, never of what it links to.
pub(crate) fn set_xattr(
    parent: impl AsFd,
    name: &OsStr,
    key: &[u8],
    value: &[u8],
) -> rustix::io::Result<()> {
    rustix::fs::lsetxattr(proc_path(parent, name), key, value, XattrFlags::empty())
}

/// A path to `name` in an open directory, for system calls that take no directory.
pub(crate) fn proc_path(parent: impl AsFd, name: &OsStr) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", parent.as_fd().as_raw_fd())).join(name)
}

/// An error while creating an entry; a lack of privilege says what to do.
pub(crate) fn denied(operation: &'static str, shown: &str, error: Errno) -> ImageError {
    match error {
        Errno::PERM | Errno::ACCESS => ImageError::Unsupported {
            what: "unpacking layers as this user".to_owned(),
            problem: format!(
                "cannot {operation} {shown}; owners, devices and overlay attributes need root"
            ),
        },
        error => ImageError::io(operation, shown.as_ref(), error),
    }
}

fn timestamps(seconds: i64, nanos: u32) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanos.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
