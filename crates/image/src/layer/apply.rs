//! Writes the entries of one layer into its directory: files, links, devices, and whiteouts as overlayfs has them.
//!
//! OCI whiteouts (`.wh.NAME`, `.wh..wh..opq`) become character devices 0/0 and `trusted.overlay.opaque`; they speak of lower
//! layers only, so they never remove what the same layer brings. A leading `/` means the root of the image (some builders
//! write it); `..` is refused.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timestamps};

use super::Unpacked;
use super::owner::{Attributes, denied};
use super::tree::{Dir, Existing, Tree, shown};
use super::union::{Union, parts};
use crate::error::{ImageError, Result};
use crate::tarball::{Entry, TarStream};

const WHITEOUT_PREFIX: &[u8] = b".wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
/// Bookkeeping of aufs, the first file system with such names.
const AUFS_PREFIX: &[u8] = b".wh..wh.";
/// The longest path Linux takes.
const PATH_BYTES: usize = 4096;
const COPY_BYTES: usize = 128 * 1024;
/// What a file occupies at least, for accounting.
const DISK_BLOCK: u64 = 4096;

struct Layer<'a> {
    tree: Tree<'a>,
    what: &'a str,
    /// Times of directories are set last: every entry made inside changes them.
    times: Vec<(PathBuf, Timestamps)>,
    buffer: Vec<u8>,
    unpacked: Unpacked,
}

/// Writes all entries of `stream` below `target`.
pub(super) fn apply<R: Read>(
    stream: &mut TarStream<R>,
    target: &Path,
    below: &Union,
    what: &str,
) -> Result<Unpacked> {
    let tree = Tree::new(target, below, what)?;
    let mut layer = Layer {
        tree,
        what,
        times: Vec::new(),
        buffer: vec![0; COPY_BYTES],
        unpacked: Unpacked::default(),
    };
    layer.tree.inherit_root()?;
    while let Some(entry) = stream.next_entry()? {
        layer.entry(&entry, stream)?;
    }
    for (path, times) in &layer.times {
        // A later entry may have replaced the directory; then its time is of no interest.
        if let Some(dir) = layer.tree.reopen(path) {
            rustix::fs::utimensat(&dir, ".", times, AtFlags::empty())
                .map_err(|error| denied("set the time of", &path.to_string_lossy(), error))?;
        }
    }
    Ok(layer.unpacked)
}

impl Layer<'_> {
    fn entry<R: Read>(&mut self, entry: &Entry, stream: &mut TarStream<R>) -> Result<()> {
        let shown = entry.name();
        let mut components =
            self.components(&entry.path, &shown, "leaves the image by its name")?;
        let attributes = Attributes::of_entry(entry, self.what)?;
        self.unpacked.entries += 1;
        self.unpacked.bytes += entry.size.next_multiple_of(DISK_BLOCK);
        let Some(name) = components.pop() else {
            return self.root(entry, &shown, &attributes);
        };
        if name.as_bytes() == OPAQUE_MARK {
            let dir = self.parent(&components, &shown)?;
            return self.tree.make_self_opaque(&dir);
        }
        if components
            .iter()
            .chain([&name])
            .any(|part| part.as_bytes().starts_with(AUFS_PREFIX))
        {
            return Ok(());
        }
        let parent = self.parent(&components, &shown)?;
        match name.as_bytes().strip_prefix(WHITEOUT_PREFIX) {
            Some(hidden) => self.whiteout(&parent, OsStr::from_bytes(hidden), &shown),
            None => self.create(entry, stream, &parent, &name, &attributes),
        }
    }

    /// Splits a name from the archive, refusing what cannot be a path inside the image.
    fn components(&self, path: &[u8], entry: &str, escape: &str) -> Result<Vec<OsString>> {
        if path.contains(&0) || path.len() > PATH_BYTES {
            let problem =
                format!("has a name that is no path (at most {PATH_BYTES} bytes, no zero byte)");
            return Err(ImageError::entry(self.what, entry, problem));
        }
        let components: Vec<_> = parts(path).collect();
        if components.iter().any(|part| part == "..") {
            return Err(ImageError::entry(self.what, entry, escape));
        }
        Ok(components)
    }

    fn parent(&mut self, components: &[OsString], entry: &str) -> Result<Dir> {
        let parent = self.tree.walk(components, entry, true)?;
        // With `create` a walk ends in a directory or an error.
        parent.ok_or_else(|| ImageError::entry(self.what, entry, "has no parent directory"))
    }

    /// An entry for the root directory itself.
    fn root(&mut self, entry: &Entry, shown: &str, attributes: &Attributes) -> Result<()> {
        if !entry.kind.is_dir() {
            return Err(ImageError::entry(
                self.what,
                shown,
                "would replace the root directory",
            ));
        }
        let root = self.parent(&[], shown)?;
        self.times.push((PathBuf::new(), attributes.mtime.clone()));
        attributes.apply(&root.fd, OsStr::new("."), "/", false)
    }

    fn whiteout(&mut self, parent: &Dir, name: &OsStr, entry: &str) -> Result<()> {
        if name.is_empty() || name == "." || name == ".." {
            return Err(ImageError::entry(
                self.what,
                entry,
                "is a whiteout of no file",
            ));
        }
        match self.tree.existing(parent, name)? {
            // Brought by this layer: only what is inside below has to go.
            Existing::Directory if self.tree.below(parent, name)?.is_some() => {
                self.tree.make_opaque(parent, name)
            }
            // A whiteout that hides nothing would show: overlayfs lists directories without a lower part as they are.
            Existing::Nothing if self.tree.below(parent, name)?.is_some() => {
                let mode = Mode::empty();
                rustix::fs::mknodat(
                    &parent.fd,
                    name,
                    FileType::CharacterDevice,
                    mode,
                    rustix::fs::makedev(0, 0),
                )
                .map_err(|error| denied("make a whiteout for", &shown(parent, name), error))
            }
            _ => Ok(()),
        }
    }

    fn create<R: Read>(
        &mut self,
        entry: &Entry,
        stream: &mut TarStream<R>,
        parent: &Dir,
        name: &OsStr,
        attributes: &Attributes,
    ) -> Result<()> {
        let shown = shown(parent, name);
        let failed = |error| denied("create", &shown, error);
        let kind = entry.kind;
        if kind.is_dir() {
            self.tree.make_dir(parent, name, attributes)?;
            self.times
                .push((parent.path.join(name), attributes.mtime.clone()));
            return Ok(());
        }
        if kind.is_hard_link() {
            return self.hard_link(entry, parent, name, &shown);
        }
        self.tree.clear(parent, name)?;
        if kind.is_symlink() {
            if entry.link.is_empty() || entry.link.contains(&0) {
                return Err(ImageError::entry(
                    self.what,
                    &entry.name(),
                    "is a symbolic link to nowhere",
                ));
            }
            rustix::fs::symlinkat(entry.link.as_slice(), &parent.fd, name).map_err(failed)?;
        } else if let Some(node) = node_type(kind) {
            let device = match node {
                FileType::Fifo => 0,
                _ => rustix::fs::makedev(entry.device.0, entry.device.1),
            };
            rustix::fs::mknodat(&parent.fd, name, node, Mode::empty(), device).map_err(failed)?;
        } else if kind.is_file() || kind.is_contiguous() {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&parent.fd, name, flags, Mode::RUSR | Mode::WUSR)
                .map_err(failed)?;
            self.copy(stream, File::from(file), &shown)?;
        } else {
            let problem = format!("has the unknown type {:?}", char::from(kind.as_byte()));
            return Err(ImageError::entry(self.what, &entry.name(), problem));
        }
        attributes.apply(&parent.fd, name, &shown, kind.is_symlink())
    }

    fn copy<R: Read>(
        &mut self,
        stream: &mut TarStream<R>,
        mut file: File,
        shown: &str,
    ) -> Result<()> {
        loop {
            let read = stream.read_data(&mut self.buffer)?;
            if read == 0 {
                return Ok(());
            }
            file.write_all(&self.buffer[..read])
                .map_err(|error| ImageError::io("write", shown.as_ref(), error))?;
        }
    }

    /// A second name for a file of the same layer.
    fn hard_link(&mut self, entry: &Entry, parent: &Dir, name: &OsStr, shown: &str) -> Result<()> {
        let own = entry.name();
        let target = String::from_utf8_lossy(&entry.link).into_owned();
        let refuse = |problem: &str| {
            ImageError::entry(
                self.what,
                &own,
                format!("is a hard link to {target:?}, {problem}"),
            )
        };
        if entry.link.starts_with(b"/") {
            return Err(refuse("which is an absolute path"));
        }
        let mut components = self.components(
            &entry.link,
            &own,
            &format!("is a hard link to {target:?}, which leaves the image"),
        )?;
        let Some(target_name) = components.pop() else {
            return Err(refuse("which is the root directory"));
        };
        let Some(target_dir) = self.tree.walk(&components, &own, false)? else {
            return Err(refuse("which is not in this layer"));
        };
        match self.tree.existing(&target_dir, &target_name)? {
            Existing::Nothing | Existing::Whiteout => {
                return Err(refuse("which is not in this layer"));
            }
            Existing::Directory => return Err(refuse("which is a directory")),
            Existing::Symlink | Existing::Other => {}
        }
        if target_dir.path == parent.path && target_name == name {
            return Ok(());
        }
        // Removing what stands at the new name must not take the target along.
        if target_dir.path.starts_with(parent.path.join(name)) {
            return Err(refuse("which lies below the link"));
        }
        self.tree.clear(parent, name)?;
        rustix::fs::linkat(
            &target_dir.fd,
            &target_name,
            &parent.fd,
            name,
            AtFlags::empty(),
        )
        .map_err(|error| denied("link", shown, error))
    }
}

fn node_type(kind: tar::EntryType) -> Option<FileType> {
    match kind {
        _ if kind.is_character_special() => Some(FileType::CharacterDevice),
        _ if kind.is_block_special() => Some(FileType::BlockDevice),
        _ if kind.is_fifo() => Some(FileType::Fifo),
        _ => None,
    }
}
