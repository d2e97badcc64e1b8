//! A read-only view of stacked layer directories as overlayfs would merge them, without mounting.
//!
//! Serves looking up attributes while unpacking and reading `/etc/passwd`. Invariants: symbolic links are resolved inside the
//! stack only, never by the kernel; whiteouts and opaque directories hide what lies below; layers do not change while viewed.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{ImageError, Result};

/// Symbolic links followed for one path, as in the kernel.
pub(crate) const MAX_LINKS: usize = 40;
pub(crate) const OPAQUE: &str = "trusted.overlay.opaque";

/// Layers, the topmost first.
pub(crate) struct Union {
    layers: Vec<(OwnedFd, PathBuf)>,
}

/// A directory of the union: the layers that contribute to it.
#[derive(Clone, Debug)]
pub(crate) struct DirView {
    path: PathBuf,
    layers: Vec<usize>,
}

/// What a name stands for.
pub(crate) enum Node {
    Dir(DirView, Stat),
    Symlink(Vec<u8>),
    /// A file or device in the layer of this index.
    Other(usize, Stat),
}

impl Node {
    pub(crate) fn into_dir(self) -> Option<DirView> {
        match self {
            Self::Dir(view, _) => Some(view),
            _ => None,
        }
    }
}

impl Union {
    /// Opens the layer directories, the topmost first.
    pub(crate) fn open<'a>(layers: impl Iterator<Item = &'a Path>) -> Result<Self> {
        let open = |path: &Path| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(CWD, path, flags, Mode::empty());
            fd.map(|fd| (fd, path.to_owned()))
                .map_err(|error| ImageError::io("open layer", path, error))
        };
        Ok(Self {
            layers: layers.map(open).collect::<Result<_>>()?,
        })
    }

    /// The root directory; `None` when there are no layers.
    pub(crate) fn root(&self) -> Option<DirView> {
        let layers: Vec<_> = (0..self.layers.len()).collect();
        (!layers.is_empty()).then(|| DirView {
            path: PathBuf::new(),
            layers,
        })
    }

    /// Attributes of the root directory: those of the topmost layer.
    pub(crate) fn root_stat(&self) -> Result<Option<Stat>> {
        let top = self.layers.first();
        let stat = top.map(|(fd, path)| {
            rustix::fs::fstat(fd).map_err(|error| ImageError::io("inspect", path, error))
        });
        stat.transpose()
    }

    /// What `name` is in `dir`.
    pub(crate) fn child(&self, dir: &DirView, name: &OsStr) -> Result<Option<Node>> {
        let path = dir.path.join(name);
        let mut merged: Option<(DirView, Stat)> = None;
        for &layer in &dir.layers {
            // Every directory on the way was seen to be a directory of this layer, so nothing is followed here.
            let stat =
                match rustix::fs::statat(&self.layers[layer].0, &path, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => stat,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => continue,
                    Err(error) => {
                        return Err(ImageError::io(
                            "inspect",
                            &self.layers[layer].1.join(&path),
                            error,
                        ));
                    }
                };
            match (FileType::from_raw_mode(stat.st_mode), &mut merged) {
                (FileType::Directory, merged) => {
                    merged
                        .get_or_insert_with(|| {
                            (
                                DirView {
                                    path: path.clone(),
                                    layers: Vec::new(),
                                },
                                stat,
                            )
                        })
                        .0
                        .layers
                        .push(layer);
                    if self.is_opaque(layer, &path) {
                        break;
                    }
                }
                (_, Some(_)) => break,
                (FileType::CharacterDevice, None) if stat.st_rdev == 0 => return Ok(None),
                (FileType::Symlink, None) => {
                    let target = rustix::fs::readlinkat(&self.layers[layer].0, &path, Vec::new())
                        .map_err(|error| {
                        ImageError::io("read link", &self.layers[layer].1.join(&path), error)
                    })?;
                    return Ok(Some(Node::Symlink(target.into_bytes())));
                }
                _ => return Ok(Some(Node::Other(layer, stat))),
            }
        }
        Ok(merged.map(|(view, stat)| Node::Dir(view, stat)))
    }

    /// Opens the regular file at `path`, following links inside the union; `None` when there is none.
    pub(crate) fn open_file(&self, path: &str) -> Result<Option<File>> {
        let Some(root) = self.root() else {
            return Ok(None);
        };
        let mut stack = vec![root];
        let mut todo: VecDeque<OsString> = parts(path.as_bytes()).collect();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                // `..` of the root is the root.
                stack.truncate((stack.len() - 1).max(1));
                continue;
            }
            // The stack is never empty: it starts with the root, which is never removed.
            let Some(dir) = stack.last() else {
                return Ok(None);
            };
            match self.child(dir, &name)? {
                Some(Node::Dir(view, _)) => stack.push(view),
                Some(Node::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Ok(None);
                    }
                    if target.starts_with(b"/") {
                        stack.truncate(1);
                    }
                    for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                        todo.push_front(part);
                    }
                }
                Some(Node::Other(layer, stat)) if todo.is_empty() => {
                    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                    let path = dir.path.join(name);
                    return if is_file {
                        self.open_in(layer, &path).map(Some)
                    } else {
                        Ok(None)
                    };
                }
                Some(Node::Other(..)) | None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn open_in(&self, layer: usize, path: &Path) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.layers[layer].0, path, flags, Mode::empty());
        fd.map(File::from)
            .map_err(|error| ImageError::io("open", &self.layers[layer].1.join(path), error))
    }

    fn is_opaque(&self, layer: usize, path: &Path) -> bool {
        let mut value = [0; 4];
        // Attributes need a path; its directories were seen to be no links, and the layer's own path is ours.
        let length = rustix::fs::lgetxattr(self.layers[layer].1.join(path), OPAQUE, &mut value);
        length.is_ok_and(|length| value.get(..length) == Some(b"y"))
    }
}

/// The components of a path that mean something; `..` is kept.
pub(crate) fn parts(path: &[u8]) -> impl Iterator<Item = OsString> + '_ {
    let parts = path
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".");
    parts.map(|part| OsString::from_vec(part.to_vec()))
}
