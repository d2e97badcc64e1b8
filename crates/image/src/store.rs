//! The image store: blobs, image records and unpacked layers under one directory with one owner.
//!
//! ```text
//! DIR/format               version of this layout
//! DIR/lock                 flock of the owner; holds its pid
//! DIR/blobs/sha256/HEX     content, verified while it was written
//! DIR/images.json          image records, replaced as a whole
//! DIR/used.json            last-used times; may be lost without harm
//! DIR/snapshots/HEX.json   which directory holds a chain of layers: the commit point of unpacking
//! DIR/l/ID/                one unpacked layer; the names are short because mount options hold up to 127 of them
//! DIR/holds/HEX.json       layers that a container's root file system stands on
//! DIR/ingest/, DIR/trash/  unfinished writes and removals; emptied on start
//! ```
//! Invariants: what a record names is complete on disk before the record is; nothing a record, a hold or a lease names is
//! collected; files are 0600 and directories 0700 (unpacked layers excepted, which carry their image's modes).

mod assemble;
mod blobs;
mod disk;
mod open;
mod snapshots;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use blobs::{BlobWriter, blob_path};
pub(crate) use disk::{make_dir, remove_tree, write_atomically};
pub(crate) use snapshots::{EMPTY_DIR, Snapshot, snapshot_file};

use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::limits::Limits;
use crate::reference::Reference;

/// More digits of an image id than this name it without the rest.
const SHORT_ID_DIGITS: usize = 12;

/// How a store behaves.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Bounds on images.
    pub limits: Limits,
    /// The data directory is thrown away at the end: do not wait for the disk.
    pub ephemeral: bool,
}

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The blob as stored.
    pub blob: Digest,
    /// The blob's size in bytes.
    pub size: u64,
    /// Digest of the blob's uncompressed content.
    pub diff_id: Digest,
    /// Names this layer on top of those below it.
    pub chain_id: Digest,
}

/// An image in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Image {
    /// Digest of the configuration: the CRI image id.
    pub id: Digest,
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Names with tags, in normal form.
    pub tags: BTreeSet<String>,
    /// Names with the digest they were pulled by (of the index, when there was one), in normal form.
    pub digests: BTreeSet<String>,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
    /// Bytes of manifest, configuration and layers as stored.
    pub size: u64,
    /// Never collected.
    pub pinned: bool,
    /// The configuration document.
    #[serde(skip)]
    pub config: Arc<ImageConfig>,
}

impl Image {
    /// A name for people: a tag, else a digest name, else the id.
    pub fn display_name(&self) -> String {
        self.tags
            .iter()
            .chain(&self.digests)
            .next()
            .cloned()
            .unwrap_or_else(|| self.id.to_string())
    }
}

/// A handle on the store; clones share it.
#[derive(Clone)]
pub struct ImageStore {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    options: StoreOptions,
    state: Mutex<State>,
    /// Serialises changes of the records, so that what is on disk is never older than what is shown.
    changes: Mutex<()>,
    /// Chains being unpacked: two pods of one image wait for one unpacking.
    unpacking: Mutex<HashSet<Digest>>,
    unpacked: Condvar,
    /// Holds the flock for as long as the store is open.
    _lock: File,
}

pub(crate) type Images = BTreeMap<Digest, Arc<Image>>;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) images: Images,
    pub(crate) used: BTreeMap<Digest, Timestamp>,
    pub(crate) blobs: HashMap<Digest, u64>,
    pub(crate) snapshots: HashMap<Digest, Snapshot>,
    /// Blobs and chains that work in progress relies on, counted.
    pub(crate) leases: HashMap<Digest, usize>,
    /// Container directories and the chains they stand on.
    pub(crate) holds: HashMap<PathBuf, Vec<Digest>>,
    next_layer_dir: u64,
    next_ingest: u64,
}

#[derive(Serialize, Deserialize)]
struct Records {
    images: Vec<Arc<Image>>,
}

impl ImageStore {
    /// The directory of the store.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The limits it was opened with.
    pub fn limits(&self) -> &Limits {
        &self.inner.options.limits
    }

    /// All images, in the order of their ids.
    pub fn images(&self) -> Vec<Arc<Image>> {
        self.state().images.values().cloned().collect()
    }

    /// Finds an image by reference, by id (`sha256:…` or hex), or by at least twelve leading digits of the id.
    pub fn image(&self, name: &str) -> Result<Arc<Image>> {
        let state = self.state();
        find(&state.images, name)
            .cloned()
            .ok_or_else(|| ImageError::NotPresent {
                what: name.to_owned(),
            })
    }

    /// When the image was last used, by the time its users gave.
    pub fn last_used(&self, id: &Digest) -> Option<Timestamp> {
        self.state().used.get(id).copied()
    }

    /// Notes that the image is used at `now`.
    pub fn touch(&self, id: &Digest, now: Timestamp) -> Result<()> {
        let text = {
            let mut state = self.state();
            if !state.images.contains_key(id) || state.used.get(id).is_some_and(|used| *used >= now)
            {
                return Ok(());
            }
            state.used.insert(*id, now);
            serde_json::to_vec(&state.used)
        };
        // A map of strings to strings always serialises.
        self.write_file(Path::new("used.json"), &text.unwrap_or_default(), false)
    }

    /// Sets or clears the pin that keeps an image from being collected.
    pub fn pin(&self, id: &Digest, pinned: bool) -> Result<()> {
        self.change(|images| {
            if let Some(image) = images.get_mut(id) {
                Arc::make_mut(image).pinned = pinned;
            }
        })
    }

    /// Gives an image one more name; the name is taken from the image that had it.
    pub fn tag(&self, name: &str, reference: &Reference) -> Result<Arc<Image>> {
        let mut image = Image::clone(&*self.image(name)?);
        image.add_name(reference);
        self.put_image(image, None)
    }

    /// Removes a name, or the whole image when `name` is its id or its last name. Layers that containers stand on stay until
    /// their root file systems are removed. True when the image is gone.
    pub fn remove_image(&self, name: &str) -> Result<bool> {
        let image = self.image(name)?;
        let text = Reference::parse(name)
            .map(|reference| reference.to_string())
            .unwrap_or_default();
        let gone = self.change(|images| {
            let Some(entry) = images.get_mut(&image.id) else {
                return true;
            };
            let rest = Arc::make_mut(entry);
            if (rest.tags.remove(&text) || rest.digests.remove(&text)) && !rest.tags.is_empty() {
                return false;
            }
            images.remove(&image.id);
            true
        })?;
        self.sweep()?;
        Ok(gone)
    }

    /// Adds or updates a record whose blobs (and, if `now` is given, whose use) are in place.
    pub(crate) fn put_image(&self, image: Image, now: Option<Timestamp>) -> Result<Arc<Image>> {
        let id = image.id;
        let stored = self.change(|images| {
            let mut image = image;
            for (other, record) in images.iter_mut() {
                if *other != id
                    && (!record.tags.is_disjoint(&image.tags)
                        || !record.digests.is_disjoint(&image.digests))
                {
                    let record = Arc::make_mut(record);
                    record.tags.retain(|tag| !image.tags.contains(tag));
                    record
                        .digests
                        .retain(|digest| !image.digests.contains(digest));
                }
            }
            if let Some(old) = images.get(&id) {
                image.tags.extend(old.tags.iter().cloned());
                image.digests.extend(old.digests.iter().cloned());
                image.pinned |= old.pinned;
            }
            let image = Arc::new(image);
            images.insert(id, image.clone());
            image
        })?;
        match now {
            Some(now) => self.touch(&id, now).map(|()| stored),
            None => Ok(stored),
        }
    }

    /// Changes the records: on disk first, then in memory.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Images) -> T) -> Result<T> {
        let _order = self
            .inner
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut images = self.state().images.clone();
        let result = change(&mut images);
        let records = Records {
            images: images.values().cloned().collect(),
        };
        let text = serde_json::to_vec(&records)
            .map_err(|error| ImageError::corrupt("image records", error.to_string()))?;
        self.write_file(Path::new("images.json"), &text, true)?;
        self.state().images = images;
        Ok(result)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a single insert, remove or assignment, so a panic elsewhere leaves it whole.
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces a file of the store. `durable`: it is on the disk on return, unless the store is ephemeral.
    pub(crate) fn write_file(&self, name: &Path, content: &[u8], durable: bool) -> Result<()> {
        let temporary = self.ingest_path();
        write_atomically(
            &temporary,
            &self.inner.dir.join(name),
            content,
            durable && !self.inner.options.ephemeral,
        )
    }

    /// A fresh name for an unfinished file.
    fn ingest_path(&self) -> PathBuf {
        let mut state = self.state();
        state.next_ingest += 1;
        self.inner
            .dir
            .join("ingest")
            .join(state.next_ingest.to_string())
    }

    /// Keeps `digests` (blobs or chains, there or not) from being collected until the lease is dropped.
    pub(crate) fn lease(&self, digests: impl IntoIterator<Item = Digest>) -> Lease {
        let digests: Vec<_> = digests.into_iter().collect();
        let mut state = self.state();
        for digest in &digests {
            *state.leases.entry(*digest).or_default() += 1;
        }
        drop(state);
        Lease {
            store: self.clone(),
            digests,
        }
    }
}

impl Image {
    /// Adds a reference as a name of this image.
    pub(crate) fn add_name(&mut self, reference: &Reference) {
        let names = if reference.digest().is_some() {
            &mut self.digests
        } else {
            &mut self.tags
        };
        names.insert(reference.to_string());
    }
}

/// Keeps content from being collected while work relies on it.
pub(crate) struct Lease {
    store: ImageStore,
    digests: Vec<Digest>,
}

impl Lease {
    /// Keeps one more.
    pub(crate) fn add(&mut self, digest: Digest) {
        *self.store.state().leases.entry(digest).or_default() += 1;
        self.digests.push(digest);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.store.state();
        for digest in &self.digests {
            if let Some(count) = state.leases.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    state.leases.remove(digest);
                }
            }
        }
    }
}

fn find<'a>(images: &'a Images, name: &str) -> Option<&'a Arc<Image>> {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    if let Some(id) = Digest::from_hex(hex) {
        return images.get(&id);
    }
    if let Ok(reference) = Reference::parse(name) {
        let text = reference.to_string();
        let named = images
            .values()
            .find(|image| image.tags.contains(&text) || image.digests.contains(&text));
        if named.is_some() {
            return named;
        }
    }
    let is_short_id =
        hex.len() >= SHORT_ID_DIGITS && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut matches = images
        .values()
        .filter(|image| is_short_id && image.id.hex().starts_with(hex));
    matches.next().filter(|_| matches.next().is_none())
}
