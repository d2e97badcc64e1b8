//! The content store: files named by the SHA-256 of what they hold.
//!
//! Invariants: a blob's file appears under its name only after its content was hashed and, unless the store is ephemeral,
//! synced; an abandoned writer leaves nothing behind.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::{ImageStore, Lease, disk};
use crate::digest::{Digest, Hasher};
use crate::error::{ImageError, Result};

const COPY_BYTES: usize = 256 * 1024;

/// Where a blob lies in the store's directory.
pub(crate) fn blob_path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join("blobs/sha256").join(digest.hex())
}

/// The blobs on disk with their sizes.
pub(super) fn load(dir: &Path) -> Result<HashMap<Digest, u64>> {
    let dir = dir.join("blobs/sha256");
    let failed = |error| ImageError::io("list", &dir, error);
    let mut blobs = HashMap::new();
    for entry in std::fs::read_dir(&dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Some(digest) = entry.file_name().to_str().and_then(Digest::from_hex) {
            blobs.insert(digest, entry.metadata().map_err(failed)?.len());
        }
    }
    Ok(blobs)
}

/// Reads a small blob whole.
pub(super) fn read(dir: &Path, digest: &Digest, limit: (&'static str, u64)) -> Result<Vec<u8>> {
    let path = blob_path(dir, digest);
    let failed = |error| ImageError::io("read", &path, error);
    let file = File::open(&path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > limit.1 {
        return Err(ImageError::limit(
            limit.0,
            limit.1,
            format!("blob {digest}"),
        ));
    }
    let mut content = Vec::new();
    file.take(limit.1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    Ok(content)
}

impl ImageStore {
    /// The size of a blob that is there.
    pub(crate) fn blob_size(&self, digest: &Digest) -> Option<u64> {
        self.state().blobs.get(digest).copied()
    }

    /// Opens a blob for reading.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = blob_path(&self.inner.dir, digest);
        File::open(&path).map_err(|error| ImageError::io("open", &path, error))
    }

    /// Reads a small blob whole; `limit` is the name and value of its bound.
    pub(crate) fn read_blob(&self, digest: &Digest, limit: (&'static str, u64)) -> Result<Vec<u8>> {
        read(&self.inner.dir, digest, limit)
    }

    /// Starts a blob of at most `limit` (name and bytes). `what` names it in errors.
    pub(crate) fn blob_writer(&self, what: &str, limit: (&'static str, u64)) -> Result<BlobWriter> {
        let path = self.ingest_path();
        let file = disk::private_file()
            .write(true)
            .create_new(true)
            .open(&path);
        let file = file.map_err(|error| ImageError::io("create", &path, error))?;
        Ok(BlobWriter {
            store: self.clone(),
            file,
            path,
            hasher: Hasher::default(),
            what: what.to_owned(),
            limit,
        })
    }

    /// Stores `content` as a blob and puts it on `lease`.
    pub(crate) fn put_blob(&self, what: &str, content: &[u8], lease: &mut Lease) -> Result<Digest> {
        let digest = Digest::of(content);
        lease.add(digest);
        if self.blob_size(&digest).is_some() {
            return Ok(digest);
        }
        let mut writer = self.blob_writer(what, ("layer_bytes", u64::MAX))?;
        writer.write(content)?;
        writer.commit(&digest)
    }
}

/// A blob being written.
pub(crate) struct BlobWriter {
    store: ImageStore,
    file: File,
    path: PathBuf,
    hasher: Hasher,
    what: String,
    limit: (&'static str, u64),
}

impl BlobWriter {
    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.hasher.bytes()
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<()> {
        if self.hasher.bytes() + data.len() as u64 > self.limit.1 {
            return Err(ImageError::limit(
                self.limit.0,
                self.limit.1,
                self.what.clone(),
            ));
        }
        self.hasher.update(data);
        self.file
            .write_all(data)
            .map_err(|error| self.failed(error))
    }

    /// Starts again from nothing.
    pub(crate) fn reset(&mut self) -> Result<()> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|error| self.failed(error))?;
        self.hasher = Hasher::default();
        Ok(())
    }

    /// Copies all of `source`.
    pub(crate) fn copy(
        &mut self,
        mut source: impl FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<()> {
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            match source(&mut buffer)? {
                0 => return Ok(()),
                read => self.write(&buffer[..read])?,
            }
        }
    }

    /// Finishes the blob, which must have the digest `expected`. The caller holds a lease on it.
    pub(crate) fn commit(self, expected: &Digest) -> Result<Digest> {
        self.finish(Some(expected))
    }

    /// Finishes the blob under whatever digest it has, and puts it on `lease`.
    pub(crate) fn commit_any(self, lease: &mut Lease) -> Result<Digest> {
        lease.add(self.hasher.clone().finish());
        self.finish(None)
    }

    fn finish(self, expected: Option<&Digest>) -> Result<Digest> {
        let (digest, size) = (self.hasher.clone().finish(), self.hasher.bytes());
        if let Some(expected) = expected
            && digest != *expected
        {
            return Err(ImageError::corrupt(
                self.what.as_str(),
                format!("its content has digest {digest} instead of {expected}"),
            ));
        }
        if self.store.blob_size(&digest).is_some() {
            return Ok(digest);
        }
        let durable = !self.store.inner.options.ephemeral;
        if durable {
            self.file.sync_all().map_err(|error| self.failed(error))?;
        }
        disk::publish(
            &self.path,
            &blob_path(&self.store.inner.dir, &digest),
            durable,
        )?;
        let mut state = self.store.state();
        if state.leases.contains_key(&digest) || state.blobs.contains_key(&digest) {
            state.blobs.insert(digest, size);
        } else {
            // Whoever wanted it gave up meanwhile. What cannot be removed is found on the next start.
            let _ = std::fs::remove_file(blob_path(&self.store.inner.dir, &digest));
        }
        Ok(digest)
    }

    fn failed(&self, error: std::io::Error) -> ImageError {
        match ImageError::io("write", &self.path, error) {
            ImageError::NoSpace { path, detail, .. } => ImageError::NoSpace {
                what: self.what.clone(),
                path,
                detail,
            },
            error => error,
        }
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // After a commit the name is gone already; otherwise a leftover is removed on the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}
