//! Unpacking of layers: a compressed tar stream becomes a directory that overlayfs can mount.
//!
//! Reads the stream once, checks its digest, writes below one directory only. Invariants: no entry is created, changed or
//! removed outside of the target, whatever names and links the stream holds; on error the caller removes the target.

mod apply;
mod owner;
mod tree;
pub(crate) mod union;

use std::fs::File;
use std::path::Path;

use crate::compression::{Cap, decompress};
use crate::digest::{Digest, HashingReader};
use crate::error::{ImageError, Result};
use crate::limits::Limits;
use crate::tarball::TarStream;
use union::Union;

/// What an unpacked layer takes on disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unpacked {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

/// Unpacks `blob` into the existing empty directory `target`, on top of the layers `below`.
pub(crate) fn unpack(
    blob: File,
    diff_id: &Digest,
    target: &Path,
    below: &Union,
    limits: &Limits,
) -> Result<Unpacked> {
    let what = format!("layer {diff_id}");
    let cap = Cap {
        limit: "unpacked_layer_bytes",
        bytes: limits.unpacked_layer_bytes,
        what: what.clone(),
    };
    let plain = HashingReader::new(decompress(blob, cap)?);
    let entries = ("layer_entries", limits.layer_entries);
    let mut stream = TarStream::new(plain, &what, entries, limits.extended_header_bytes);
    let unpacked = apply::apply(&mut stream, target, below, &what)?;
    let found = stream.drain()?.hasher.finish();
    if found != *diff_id {
        return Err(ImageError::corrupt(
            what,
            format!("its unpacked content has digest {found}"),
        ));
    }
    Ok(unpacked)
}
