//! Opening the store: becoming its owner, checking the format, loading what is there, removing what was left unfinished.
//!
//! Invariants: nothing is read or removed before the lock is held and the format is known; a record whose content is missing
//! is dropped with a warning and nothing else fails.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use jiff::Timestamp;
use rustix::fs::FlockOperation;

use super::{
    ImageStore, Images, Inner, Records, State, StoreOptions, blobs, disk, make_dir, snapshots,
    write_atomically,
};
use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::limits::Limits;

/// The layout this code writes.
const FORMAT: u64 = 1;

impl ImageStore {
    /// Opens the store in `dir`, making it if need be, and becomes its owner. Unfinished work of an earlier owner is removed.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self> {
        make_dir(dir)?;
        let dir = dir
            .canonicalize()
            .map_err(|error| ImageError::io("open", dir, error))?;
        let lock = lock(&dir)?;
        check_format(&dir)?;
        for name in ["blobs", "blobs/sha256", "snapshots", "l", "holds"] {
            make_dir(&dir.join(name))?;
        }
        for name in ["ingest", "trash"] {
            disk::remove_tree(&dir.join(name))?;
            make_dir(&dir.join(name))?;
        }
        let mut state = State {
            blobs: blobs::load(&dir)?,
            ..State::default()
        };
        state.snapshots = snapshots::load(&dir)?;
        state.next_layer_dir = snapshots::next_dir(&state.snapshots);
        state.holds = crate::rootfs::load_holds(&dir.join("holds"))?;
        state.images = load_images(&dir, &state.blobs, &options.limits)?;
        state.used = load_used(&dir);
        let inner = Inner {
            dir,
            options,
            state: Mutex::new(state),
            changes: Mutex::new(()),
            unpacking: Mutex::new(HashSet::new()),
            unpacked: Condvar::new(),
            _lock: lock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let failed = |error: std::io::Error| ImageError::io("lock", &path, error);
    let mut file = disk::private_file()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    if let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(failed(error.into()));
        }
        let mut pid = String::new();
        // An unreadable pid makes the message poorer, nothing else.
        let _ = (&mut file).take(32).read_to_string(&mut pid);
        let pid = if pid.trim().is_empty() {
            "unknown"
        } else {
            pid.trim()
        };
        return Err(ImageError::StoreInUse {
            dir: dir.to_owned(),
            pid: pid.to_owned(),
        });
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .map_err(failed)?;
    file.write_all(std::process::id().to_string().as_bytes())
        .map_err(failed)?;
    Ok(file)
}

fn check_format(dir: &Path) -> Result<()> {
    let path = dir.join("format");
    match std::fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse::<u64>() {
            Ok(found) if found > FORMAT => Err(ImageError::StoreTooNew {
                dir: dir.to_owned(),
                found,
                known: FORMAT,
            }),
            Ok(_) => Ok(()),
            Err(_) => Err(ImageError::corrupt(
                path.display().to_string(),
                "it should hold the format's number",
            )),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => write_atomically(
            &dir.join("format.new"),
            &path,
            format!("{FORMAT}\n").as_bytes(),
            true,
        ),
        Err(error) => Err(ImageError::io("read", &path, error)),
    }
}

/// Records whose content went missing are dropped with a warning: the image can be pulled again.
fn load_images(dir: &Path, blobs: &HashMap<Digest, u64>, limits: &Limits) -> Result<Images> {
    let path = dir.join("images.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Images::new()),
        Err(error) => return Err(ImageError::io("read", &path, error)),
    };
    let records: Records = serde_json::from_slice(&text)
        .map_err(|error| ImageError::corrupt(path.display().to_string(), error.to_string()))?;
    let mut images = Images::new();
    for record in records.images {
        let mut image = Arc::unwrap_or_clone(record);
        let needed = [image.id, image.manifest]
            .into_iter()
            .chain(image.layers.iter().map(|layer| layer.blob));
        let missing: Vec<_> = needed
            .filter(|digest| !blobs.contains_key(digest))
            .collect();
        let config = blobs::read(dir, &image.id, ("config_bytes", limits.config_bytes))
            .and_then(|bytes| ImageConfig::parse(&bytes, &image.display_name()));
        match config {
            Ok(config) if missing.is_empty() => {
                image.config = Arc::new(config);
                images.insert(image.id, Arc::new(image));
            }
            _ => tracing::warn!(
                image = image.display_name(),
                ?missing,
                "image record dropped: its content is missing"
            ),
        }
    }
    Ok(images)
}

fn load_used(dir: &Path) -> BTreeMap<Digest, Timestamp> {
    let text = std::fs::read(dir.join("used.json")).unwrap_or_default();
    // Written without waiting for the disk: whatever a crash left of it only affects the order of collection.
    serde_json::from_slice(&text).unwrap_or_default()
}
