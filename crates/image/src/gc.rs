//! Garbage collection by use, and what the store takes on disk.
//!
//! Invariants: pinned images, images in use, and content that a container stands on or running work has leased are never
//! removed; choosing what to remove is pure; removal takes effect at once under one lock, slow deletes come after it.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::store::{ImageStore, State, blob_path, remove_tree, snapshot_file};

/// What may be collected, and how much is wanted.
#[derive(Clone, Debug, Default)]
pub struct GcRequest {
    /// Ids of images that pods use, or will.
    pub in_use: HashSet<Digest>,
    /// Bytes to free. Collection stops once that much is gone; `u64::MAX` removes every unused image.
    pub free_bytes: u64,
    /// Images used at or after this time stay (the kubelet's minimum age).
    pub unused_since: Option<Timestamp>,
}

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Names of removed images, in the order of removal.
    pub removed: Vec<String>,
    /// Bytes of blobs and unpacked layers that are gone.
    pub freed_bytes: u64,
}

/// What the store takes, and what its file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskUsage {
    /// Images recorded.
    pub images: u64,
    /// Bytes of blobs.
    pub blob_bytes: u64,
    /// Bytes of unpacked layers, as accounted while unpacking.
    pub snapshot_bytes: u64,
    /// Files in blobs and unpacked layers.
    pub inodes: u64,
    /// Size of the file system in bytes.
    pub capacity_bytes: u64,
    /// Bytes that are free for ordinary use on the file system.
    pub available_bytes: u64,
    /// Inodes of the file system.
    pub capacity_inodes: u64,
    /// Free inodes of the file system.
    pub available_inodes: u64,
}

impl ImageStore {
    /// Removes leftovers, then unused images, the longest unused first, until enough is freed.
    pub fn collect(&self, request: &GcRequest) -> Result<GcReport> {
        let mut report = GcReport {
            removed: Vec::new(),
            freed_bytes: self.sweep()?,
        };
        let candidates = candidates(&self.state(), request);
        for id in candidates {
            if report.freed_bytes >= request.free_bytes {
                break;
            }
            let removed = self.change(|images| match images.get(&id) {
                Some(image) if !image.pinned => images.remove(&id),
                _ => None,
            })?;
            if let Some(image) = removed {
                report.removed.push(image.display_name());
                report.freed_bytes += self.sweep()?;
            }
        }
        Ok(report)
    }

    /// Bytes and inodes, without walking the disk.
    pub fn disk_usage(&self) -> Result<DiskUsage> {
        let stat = rustix::fs::statvfs(self.dir())
            .map_err(|error| ImageError::io("inspect", self.dir(), error))?;
        let state = self.state();
        Ok(DiskUsage {
            images: state.images.len() as u64,
            blob_bytes: state.blobs.values().sum(),
            snapshot_bytes: state
                .snapshots
                .values()
                .map(|snapshot| snapshot.bytes)
                .sum(),
            inodes: state.blobs.len() as u64
                + state
                    .snapshots
                    .values()
                    .map(|snapshot| snapshot.entries)
                    .sum::<u64>(),
            capacity_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            capacity_inodes: stat.f_files,
            available_inodes: stat.f_favail,
        })
    }

    /// Removes blobs and unpacked layers that nothing refers to. Bytes freed.
    pub(crate) fn sweep(&self) -> Result<u64> {
        let mut freed = 0;
        let mut trash = Vec::new();
        {
            let mut state = self.state();
            let live = live(&state);
            let dead: Vec<_> = state
                .blobs
                .keys()
                .filter(|blob| !live.contains(*blob))
                .copied()
                .collect();
            for blob in dead {
                let path = blob_path(self.dir(), &blob);
                remove_file(&path)?;
                freed += state.blobs.remove(&blob).unwrap_or(0);
            }
            let dead: Vec<_> = state
                .snapshots
                .keys()
                .filter(|chain| !live.contains(*chain))
                .copied()
                .collect();
            for chain in dead {
                remove_file(&self.dir().join(snapshot_file(&chain)))?;
                let Some(snapshot) = state.snapshots.remove(&chain) else {
                    continue;
                };
                let (from, to) = (
                    self.layer_dir(&snapshot.dir),
                    self.dir().join("trash").join(&snapshot.dir),
                );
                std::fs::rename(&from, &to)
                    .map_err(|error| ImageError::io("remove", &from, error))?;
                freed += snapshot.bytes;
                trash.push(to);
            }
            let State { images, used, .. } = &mut *state;
            used.retain(|id, _| images.contains_key(id));
        }
        trash.iter().try_for_each(|dir| remove_tree(dir))?;
        Ok(freed)
    }
}

fn remove_file(path: &std::path::Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ImageError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Images that may go, the longest unused first.
fn candidates(state: &State, request: &GcRequest) -> Vec<Digest> {
    let used = |id: &Digest| state.used.get(id).copied();
    let too_young = |id: &Digest| match (request.unused_since, used(id)) {
        (Some(since), Some(used)) => used >= since,
        _ => false,
    };
    let mut candidates: Vec<_> = state
        .images
        .values()
        .filter(|image| {
            !image.pinned && !request.in_use.contains(&image.id) && !too_young(&image.id)
        })
        .map(|image| image.id)
        .collect();
    candidates.sort_by_key(used);
    candidates
}

/// Everything that a record, a container or running work relies on: blobs and chains.
fn live(state: &State) -> HashSet<Digest> {
    let mut live: HashSet<Digest> = state.leases.keys().copied().collect();
    live.extend(state.holds.values().flatten());
    for image in state.images.values() {
        live.extend([image.id, image.manifest]);
        live.extend(
            image
                .layers
                .iter()
                .flat_map(|layer| [layer.blob, layer.chain_id]),
        );
    }
    live
}
