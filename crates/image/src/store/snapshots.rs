//! Unpacked layers: one directory per chain of layers, shared by all images that stack the same ones.
//!
//! Invariants: a chain has a directory only once it is complete (the JSON file naming it is written last); one chain is
//! unpacked by one thread at a time; a failed unpacking leaves nothing.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::{ImageStore, Layer, disk};
use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::layer;
use crate::layer::union::Union;

/// Directory names count up in this base.
const ID_BASE: u32 = 36;
/// The mode of an image's root directory when no layer says otherwise.
const ROOT_MODE: u32 = 0o755;

/// One unpacked chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Its directory below `l/`.
    pub(crate) dir: String,
    /// Bytes it takes.
    pub(crate) bytes: u64,
    /// Files it has.
    pub(crate) entries: u64,
}

/// The complete chains; directories that belong to none are removed.
pub(super) fn load(dir: &Path) -> Result<HashMap<Digest, Snapshot>> {
    let (records, layers) = (dir.join("snapshots"), dir.join("l"));
    let mut snapshots = HashMap::new();
    for (name, path) in list(&records)? {
        let chain = name.strip_suffix(".json").and_then(Digest::from_hex);
        let snapshot = std::fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice::<Snapshot>(&text).ok());
        match (chain, snapshot) {
            (Some(chain), Some(snapshot))
                if parse_id(&snapshot.dir).is_some() && layers.join(&snapshot.dir).is_dir() =>
            {
                snapshots.insert(chain, snapshot);
            }
            // An unpacked layer can be made again from its blob.
            _ => std::fs::remove_file(&path)
                .map_err(|error| ImageError::io("remove", &path, error))?,
        }
    }
    let known: std::collections::HashSet<&str> = snapshots
        .values()
        .map(|snapshot| snapshot.dir.as_str())
        .collect();
    for (name, path) in list(&layers)? {
        if name != EMPTY_DIR && !known.contains(name.as_str()) {
            disk::remove_tree(&path)?;
        }
    }
    make_layer_dir(&layers.join(EMPTY_DIR))?;
    Ok(snapshots)
}

/// The lower directory of images without layers: overlayfs wants one.
pub(crate) const EMPTY_DIR: &str = "0";

pub(super) fn next_dir(snapshots: &HashMap<Digest, Snapshot>) -> u64 {
    snapshots
        .values()
        .filter_map(|snapshot| parse_id(&snapshot.dir))
        .max()
        .unwrap_or(0)
        + 1
}

fn parse_id(name: &str) -> Option<u64> {
    u64::from_str_radix(name, ID_BASE).ok()
}

fn format_id(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        // The remainder is below 36.
        let digit = u32::try_from(number % u64::from(ID_BASE)).unwrap_or(0);
        digits.push(char::from_digit(digit, ID_BASE).unwrap_or('0'));
        number /= u64::from(ID_BASE);
    }
    digits.iter().rev().collect()
}

fn list(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let failed = |error| ImageError::io("list", dir, error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        entries.push((
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        ));
    }
    Ok(entries)
}

fn make_layer_dir(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(ROOT_MODE).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(ImageError::io("create", path, error))
        }
        _ => {
            use std::os::unix::fs::PermissionsExt;
            // The umask took part in creating it.
            let mode = std::fs::Permissions::from_mode(ROOT_MODE);
            std::fs::set_permissions(path, mode)
                .map_err(|error| ImageError::io("change the mode of", path, error))
        }
    }
}

impl ImageStore {
    /// Makes sure that all `layers` (lowest first) are unpacked. The directories, topmost first. The caller holds a lease.
    pub(crate) fn unpack_layers(&self, layers: &[Layer]) -> Result<Vec<PathBuf>> {
        let mut dirs: Vec<PathBuf> = Vec::with_capacity(layers.len());
        for layer in layers {
            let dir = match self.snapshot_dir(&layer.chain_id) {
                Some(dir) => dir,
                None => self.unpack_once(layer, &dirs)?,
            };
            dirs.push(dir);
        }
        dirs.reverse();
        Ok(dirs)
    }

    pub(crate) fn snapshot_dir(&self, chain: &Digest) -> Option<PathBuf> {
        self.state()
            .snapshots
            .get(chain)
            .map(|snapshot| self.layer_dir(&snapshot.dir))
    }

    pub(crate) fn layer_dir(&self, name: &str) -> PathBuf {
        self.inner.dir.join("l").join(name)
    }

    /// Unpacks a layer, or waits for the thread that is at it.
    fn unpack_once(&self, layer: &Layer, below: &[PathBuf]) -> Result<PathBuf> {
        {
            let mut busy = self
                .inner
                .unpacking
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            while busy.contains(&layer.chain_id) {
                busy = self
                    .inner
                    .unpacked
                    .wait(busy)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            busy.insert(layer.chain_id);
        }
        let _turn = Turn {
            store: self,
            chain: layer.chain_id,
        };
        match self.snapshot_dir(&layer.chain_id) {
            Some(dir) => Ok(dir),
            None => self.unpack_layer(layer, below),
        }
    }

    fn unpack_layer(&self, layer: &Layer, below: &[PathBuf]) -> Result<PathBuf> {
        let name = {
            let mut state = self.state();
            let name = format_id(state.next_layer_dir);
            state.next_layer_dir += 1;
            name
        };
        let dir = self.layer_dir(&name);
        make_layer_dir(&dir)?;
        let unpack = || {
            let below = Union::open(below.iter().rev().map(PathBuf::as_path))?;
            let unpacked = layer::unpack(
                self.open_blob(&layer.blob)?,
                &layer.diff_id,
                &dir,
                &below,
                self.limits(),
            )?;
            if !self.inner.options.ephemeral {
                let target = std::fs::File::open(&dir)
                    .map_err(|error| ImageError::io("open", &dir, error))?;
                rustix::fs::syncfs(&target).map_err(|error| ImageError::io("sync", &dir, error))?;
            }
            let snapshot = Snapshot {
                dir: name.clone(),
                bytes: unpacked.bytes,
                entries: unpacked.entries,
            };
            let text = serde_json::to_vec(&snapshot)
                .map_err(|error| ImageError::corrupt("snapshot record", error.to_string()))?;
            self.write_file(&snapshot_file(&layer.chain_id), &text, true)?;
            Ok(snapshot)
        };
        match unpack() {
            Ok(snapshot) => {
                self.state().snapshots.insert(layer.chain_id, snapshot);
                Ok(dir)
            }
            Err(error) => {
                // The cause matters more than a failed clean-up, which the next start repeats.
                let _ = disk::remove_tree(&dir);
                Err(error)
            }
        }
    }
}

/// The record of a chain, relative to the store's directory.
pub(crate) fn snapshot_file(chain: &Digest) -> PathBuf {
    Path::new("snapshots").join(format!("{}.json", chain.hex()))
}

/// The right to unpack one chain.
struct Turn<'a> {
    store: &'a ImageStore,
    chain: Digest,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.store
            .inner
            .unpacking
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.chain);
        self.store.inner.unpacked.notify_all();
    }
}
