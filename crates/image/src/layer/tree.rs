//! The directory that a layer is unpacked into, walked one component at a time.
//!
//! Invariants: every directory is opened relative to its parent and without following links, so no name leads outside; a
//! relative link made by the same layer is followed by hand, one that is absolute or climbs above the root is refused.

use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::owner::{Attributes, denied, proc_path, set_xattr};
use super::union::{DirView, MAX_LINKS, Node, OPAQUE, Union, parts};
use crate::error::{ImageError, Result};

/// Directories one inside the other; each costs an open file while walking.
const MAX_DEPTH: usize = 200;
const ESCAPES: &str = "leaves the image through a symbolic link made by an earlier entry";
const OPEN_DIR: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A directory of the layer, with what lies below it in lower layers.
#[derive(Clone)]
pub(super) struct Dir {
    pub(super) fd: Rc<OwnedFd>,
    /// Relative to the layer's root, free of links.
    pub(super) path: PathBuf,
    below: Option<DirView>,
}

pub(super) struct Tree<'a> {
    root: Dir,
    below: &'a Union,
    what: &'a str,
    /// The parent directory of the last entry: archives are written directory by directory.
    last: Option<(Vec<OsString>, Dir)>,
    /// Directories that this layer made opaque: nothing shines through.
    opaque: HashSet<PathBuf>,
}

/// What stands at a name of the layer.
pub(super) enum Existing {
    Nothing,
    Whiteout,
    Directory,
    Symlink,
    Other,
}

/// Where a component leads.
enum Step {
    Into(Dir),
    Missing,
    Link { target: Vec<u8>, own: bool },
}

impl<'a> Tree<'a> {
    pub(super) fn new(target: &Path, below: &'a Union, what: &'a str) -> Result<Self> {
        let fd = rustix::fs::openat(CWD, target, OPEN_DIR, Mode::empty());
        let fd = fd.map_err(|error| ImageError::io("open", target, error))?;
        let root = Dir {
            fd: Rc::new(fd),
            path: PathBuf::new(),
            below: below.root(),
        };
        Ok(Self {
            root,
            below,
            what,
            last: None,
            opaque: HashSet::new(),
        })
    }

    /// Gives the root directory what it has below, for layers that have no entry for it.
    pub(super) fn inherit_root(&self) -> Result<()> {
        match self.below.root_stat()? {
            Some(stat) => {
                Attributes::of_stat(&stat).apply(&self.root.fd, OsStr::new("."), "/", false)
            }
            None => Ok(()),
        }
    }

    /// The directory `components` lead to. Missing ones are made (with the attributes they have below) if `create`.
    pub(super) fn walk(
        &mut self,
        components: &[OsString],
        entry: &str,
        create: bool,
    ) -> Result<Option<Dir>> {
        if let Some((path, dir)) = &self.last
            && path == components
        {
            return Ok(Some(dir.clone()));
        }
        let mut above = Vec::new();
        let mut current = self.root.clone();
        // The flag says that a link of this layer put the part there.
        let mut todo: VecDeque<(OsString, bool)> = components
            .iter()
            .map(|part| (part.clone(), false))
            .collect();
        let mut links = 0;
        while let Some((name, from_own_link)) = todo.pop_front() {
            if name == ".." {
                match above.pop() {
                    Some(parent) => current = parent,
                    None if from_own_link => return Err(self.refuse(entry, ESCAPES)),
                    // A lower layer's link was accepted before; the parent of the root is the root.
                    None => {}
                }
                continue;
            }
            if above.len() >= MAX_DEPTH {
                return Err(self.refuse(
                    entry,
                    format!("lies more than {MAX_DEPTH} directories deep"),
                ));
            }
            match self.step(&current, &name, entry, create)? {
                Step::Missing => return Ok(None),
                Step::Into(dir) => above.push(std::mem::replace(&mut current, dir)),
                Step::Link { target, own } => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(self.refuse(entry, "leads through too many symbolic links"));
                    }
                    if target.starts_with(b"/") {
                        if own {
                            return Err(self.refuse(entry, ESCAPES));
                        }
                        above.clear();
                        current = self.root.clone();
                    }
                    let target: Vec<_> = parts(&target).collect();
                    target
                        .into_iter()
                        .rev()
                        .for_each(|part| todo.push_front((part, own)));
                }
            }
        }
        self.last = Some((components.to_vec(), current.clone()));
        Ok(Some(current))
    }

    /// One component further.
    fn step(&mut self, current: &Dir, name: &OsStr, entry: &str, create: bool) -> Result<Step> {
        let below = self.below(current, name)?;
        match self.existing(current, name)? {
            Existing::Directory => Ok(Step::Into(self.enter(
                current,
                name,
                below.and_then(Node::into_dir),
            )?)),
            Existing::Symlink => {
                let target =
                    rustix::fs::readlinkat(&current.fd, name, Vec::new()).map_err(|error| {
                        ImageError::io("read link", &current.path.join(name), error)
                    })?;
                Ok(Step::Link {
                    target: target.into_bytes(),
                    own: true,
                })
            }
            Existing::Nothing | Existing::Whiteout if !create => Ok(Step::Missing),
            Existing::Whiteout => {
                self.make_dir(current, name, &Attributes::implied())?;
                Ok(Step::Into(self.enter(current, name, None)?))
            }
            Existing::Nothing => match below {
                Some(Node::Symlink(target)) => Ok(Step::Link { target, own: false }),
                Some(Node::Dir(view, stat)) => {
                    self.make_dir(current, name, &Attributes::of_stat(&stat))?;
                    Ok(Step::Into(self.enter(current, name, Some(view))?))
                }
                Some(Node::Other(..)) | None => {
                    self.make_dir(current, name, &Attributes::implied())?;
                    Ok(Step::Into(self.enter(current, name, None)?))
                }
            },
            Existing::Other => Err(self.refuse(
                entry,
                format!(
                    "lies below {:?}, which is no directory",
                    current.path.join(name)
                ),
            )),
        }
    }

    fn enter(&self, parent: &Dir, name: &OsStr, below: Option<DirView>) -> Result<Dir> {
        let path = parent.path.join(name);
        let fd = rustix::fs::openat(&parent.fd, name, OPEN_DIR, Mode::empty());
        let fd = fd.map_err(|error| ImageError::io("open", &path, error))?;
        Ok(Dir {
            fd: Rc::new(fd),
            path,
            below,
        })
    }

    /// What lower layers have at `name` of `dir`.
    pub(super) fn below(&self, dir: &Dir, name: &OsStr) -> Result<Option<Node>> {
        match &dir.below {
            Some(view) if !self.opaque.contains(&dir.path) => self.below.child(view, name),
            _ => Ok(None),
        }
    }

    /// What this layer has at `name` of `dir`.
    pub(super) fn existing(&self, dir: &Dir, name: &OsStr) -> Result<Existing> {
        match rustix::fs::statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Existing::Directory,
                FileType::Symlink => Existing::Symlink,
                FileType::CharacterDevice if stat.st_rdev == 0 => Existing::Whiteout,
                _ => Existing::Other,
            }),
            Err(Errno::NOENT) => Ok(Existing::Nothing),
            Err(error) => Err(ImageError::io("inspect", &dir.path.join(name), error)),
        }
    }

    /// Makes the directory `name`, in place of anything but a directory. In place of a whiteout it becomes opaque: what the
    /// whiteout hid stays hidden.
    pub(super) fn make_dir(
        &mut self,
        parent: &Dir,
        name: &OsStr,
        attributes: &Attributes,
    ) -> Result<()> {
        let shown = shown(parent, name);
        let existing = self.existing(parent, name)?;
        if !matches!(existing, Existing::Directory) {
            self.clear(parent, name)?;
            rustix::fs::mkdirat(&parent.fd, name, Mode::RWXU)
                .map_err(|error| denied("create", &shown, error))?;
        }
        if matches!(existing, Existing::Whiteout) {
            self.make_opaque(parent, name)?;
        }
        attributes.apply(&parent.fd, name, &shown, false)
    }

    /// Hides everything that lower layers have inside the directory `name`.
    pub(super) fn make_opaque(&mut self, parent: &Dir, name: &OsStr) -> Result<()> {
        self.last = None;
        self.opaque.insert(if name == "." {
            parent.path.clone()
        } else {
            parent.path.join(name)
        });
        set_xattr(&parent.fd, name, OPAQUE.as_bytes(), b"y")
            .map_err(|error| denied("make opaque", &shown(parent, name), error))
    }

    /// The same for a directory that was walked to.
    pub(super) fn make_self_opaque(&mut self, dir: &Dir) -> Result<()> {
        match dir.below {
            Some(_) => self.make_opaque(dir, OsStr::new(".")),
            None => Ok(()),
        }
    }

    /// Removes whatever this layer has at `name`.
    pub(super) fn clear(&mut self, parent: &Dir, name: &OsStr) -> Result<()> {
        let existing = self.existing(parent, name)?;
        if matches!(existing, Existing::Directory | Existing::Symlink) {
            // The remembered directory may be what goes, lie inside, or have been reached through it.
            self.last = None;
        }
        let removed = match existing {
            Existing::Nothing => return Ok(()),
            // Does not follow links, and below this directory nobody else is at work.
            Existing::Directory => std::fs::remove_dir_all(proc_path(&parent.fd, name)),
            _ => rustix::fs::unlinkat(&parent.fd, name, AtFlags::empty()).map_err(Into::into),
        };
        removed.map_err(|error| ImageError::io("replace", &parent.path.join(name), error))
    }

    /// Opens a directory by the link-free path it was made with, if it still is one.
    pub(super) fn reopen(&self, path: &Path) -> Option<OwnedFd> {
        let mut fd = rustix::fs::openat(&self.root.fd, ".", OPEN_DIR, Mode::empty()).ok()?;
        for name in path.iter() {
            fd = rustix::fs::openat(&fd, name, OPEN_DIR, Mode::empty()).ok()?;
        }
        Some(fd)
    }

    pub(super) fn refuse(&self, entry: &str, problem: impl Into<String>) -> ImageError {
        ImageError::entry(self.what, entry, problem)
    }
}

/// A name for messages.
pub(super) fn shown(parent: &Dir, name: &OsStr) -> String {
    format!("/{}", parent.path.join(name).display())
}
