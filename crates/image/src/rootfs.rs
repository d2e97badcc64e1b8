//! Root file systems of containers: the directories that an overlay mount needs. The mount itself is the runtime's.
//!
//! Invariants: layers of a prepared root file system stay, across restarts and removal of the image, until it is removed;
//! nothing is removed below a mount that is still there.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{Gid, Mode, Uid};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::store::{EMPTY_DIR, Image, ImageStore, make_dir, remove_tree};

/// The parts of an overlay mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rootfs {
    /// Read-only layers in overlayfs' order: the topmost first. Short absolute paths, never empty.
    pub lower: Vec<PathBuf>,
    /// Where changes go. Has the attributes of the image's root directory.
    pub upper: PathBuf,
    /// Overlayfs' scratch directory, on the same file system as `upper`.
    pub work: PathBuf,
    /// Where to mount.
    pub merged: PathBuf,
}

/// What a container stands on.
#[derive(Serialize, Deserialize)]
struct Hold {
    container_dir: PathBuf,
    chains: Vec<Digest>,
}

fn hold_file(container_dir: &Path) -> PathBuf {
    let name = Digest::of(container_dir.as_os_str().as_encoded_bytes()).hex();
    Path::new("holds").join(format!("{name}.json"))
}

/// Reads the holds whose container directory still exists; the others go.
pub(crate) fn load_holds(dir: &Path) -> Result<HashMap<PathBuf, Vec<Digest>>> {
    let failed = |error| ImageError::io("list", dir, error);
    let mut holds = HashMap::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hold = std::fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice::<Hold>(&text).ok());
        match hold {
            Some(hold) if hold.container_dir.is_dir() => {
                holds.insert(hold.container_dir, hold.chains);
            }
            _ => std::fs::remove_file(&path)
                .map_err(|error| ImageError::io("remove", &path, error))?,
        }
    }
    Ok(holds)
}

impl ImageStore {
    /// Unpacks what is missing of an image (named as for [`Self::image`]), so that containers of it start at once.
    pub fn unpack(&self, image: &str) -> Result<()> {
        let image = self.image(image)?;
        let _lease = self.lease(content(&image));
        self.image(&image.id.to_string())?;
        self.unpack_layers(&image.layers).map(drop)
    }

    /// Makes the directories for a container of `image` below `container_dir`, which is made if need be. Doing it again gives
    /// the same directories with their content. `now` becomes the image's last use.
    pub fn prepare_rootfs(
        &self,
        image: &str,
        container_dir: &Path,
        now: Timestamp,
    ) -> Result<Rootfs> {
        let image = self.image(image)?;
        let _lease = self.lease(content(&image));
        // Under the lease nothing goes any more; before it, the image may have gone.
        self.image(&image.id.to_string())?;
        let mut lower = self.unpack_layers(&image.layers)?;
        if lower.is_empty() {
            lower.push(self.layer_dir(EMPTY_DIR));
        }
        make_dir(container_dir)?;
        let chains = image.layers.iter().map(|layer| layer.chain_id).collect();
        self.hold(Hold {
            container_dir: container_dir.to_owned(),
            chains,
        })?;
        let rootfs = Rootfs {
            upper: container_dir.join("upper"),
            work: container_dir.join("work"),
            merged: container_dir.join("merged"),
            lower,
        };
        make_dir(&rootfs.work)?;
        make_dir(&rootfs.merged)?;
        if !rootfs.upper.is_dir() {
            make_dir(&rootfs.upper)?;
            // The upper directory is what a container sees as `/`.
            copy_attributes(&rootfs.lower[0], &rootfs.upper)?;
        }
        self.touch(&image.id, now)?;
        Ok(rootfs)
    }

    /// Removes a container's directories made by [`Self::prepare_rootfs`]; the container directory itself stays. Missing ones
    /// are no error.
    pub fn remove_rootfs(&self, container_dir: &Path) -> Result<()> {
        let merged = container_dir.join("merged");
        if is_mounted(&merged, container_dir) {
            return Err(ImageError::StillMounted { path: merged });
        }
        for name in ["merged", "work", "upper"] {
            remove_tree(&container_dir.join(name))?;
        }
        let path = self.dir().join(hold_file(container_dir));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ImageError::io("remove", &path, error));
            }
            _ => {}
        }
        self.state().holds.remove(container_dir);
        Ok(())
    }

    fn hold(&self, hold: Hold) -> Result<()> {
        if self.state().holds.get(&hold.container_dir) == Some(&hold.chains) {
            return Ok(());
        }
        let text = serde_json::to_vec(&hold)
            .map_err(|error| ImageError::corrupt("container directory", error.to_string()))?;
        self.write_file(&hold_file(&hold.container_dir), &text, false)?;
        self.state().holds.insert(hold.container_dir, hold.chains);
        Ok(())
    }
}

/// All content of an image.
fn content(image: &Image) -> impl Iterator<Item = Digest> {
    let layers = image
        .layers
        .iter()
        .flat_map(|layer| [layer.blob, layer.chain_id]);
    [image.id, image.manifest].into_iter().chain(layers)
}

fn copy_attributes(from: &Path, to: &Path) -> Result<()> {
    let stat = rustix::fs::stat(from).map_err(|error| ImageError::io("inspect", from, error))?;
    let failed = |error| ImageError::io("change the owner of", to, error);
    rustix::fs::chown(
        to,
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
    )
    .map_err(failed)?;
    rustix::fs::chmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777)).map_err(failed)
}

/// A mount point is on another device than the directory it is in.
fn is_mounted(path: &Path, parent: &Path) -> bool {
    match (
        std::fs::symlink_metadata(path),
        std::fs::symlink_metadata(parent),
    ) {
        (Ok(inner), Ok(outer)) => inner.dev() != outer.dev(),
        _ => false,
    }
}
