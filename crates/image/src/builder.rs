//! Images made from files on this machine, without a registry: kogge's own toolbox and pause images.
//!
//! The result is reproducible: the same files and configuration give the same digests, so building again changes nothing.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tar::{EntryType, Header};

use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::reference::Reference;
use crate::spec::{Descriptor, Manifest, OCI_CONFIG, OCI_LAYER};
use crate::store::{BlobWriter, Image, ImageStore};

/// One file of an image to build. Owner is root; parent directories come by themselves.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// Path in the image; a leading `/` makes no difference.
    pub path: String,
    /// Permission bits; links have none.
    pub mode: u32,
    /// What it holds.
    pub content: FileContent,
}

/// Where a file's content comes from.
#[derive(Clone, Debug)]
pub enum FileContent {
    /// A file of this machine, such as `/proc/self/exe`.
    FromPath(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(String),
    /// An empty directory.
    Directory,
}

impl ImageStore {
    /// Builds an image of one layer from `files` and records it as `reference`. `now` becomes its last use.
    pub fn build_image(
        &self,
        reference: &Reference,
        files: &[ImageFile],
        config: ImageConfig,
        now: Timestamp,
    ) -> Result<Arc<Image>> {
        let what = format!("image {reference}");
        let mut lease = self.lease([]);
        let mut writer = self.blob_writer(
            &format!("layer of {what}"),
            ("layer_bytes", self.limits().layer_bytes),
        )?;
        let mtime = config
            .created()
            .map_or(0, |created| u64::try_from(created.as_second()).unwrap_or(0));
        write_layer(&mut writer, files, mtime)?;
        let size = writer.written();
        let layer = writer.commit_any(&mut lease)?;
        // The layer is not compressed: its digest is its diff id.
        let config = to_json(&config.with_layers(vec![layer]), &what)?;
        let config_digest = self.put_blob(&what, &config, &mut lease)?;
        let manifest = Manifest::new(
            descriptor(OCI_CONFIG, config_digest, config.len() as u64),
            vec![descriptor(OCI_LAYER, layer, size)],
        );
        let text = to_json(&manifest, &what)?;
        let digest = self.put_blob(&what, &text, &mut lease)?;
        let built = self
            .assemble(digest, &manifest, &reference.to_string(), &mut lease)
            .and_then(|candidate| {
                self.unpack_candidate(&candidate)?;
                self.admit(
                    candidate,
                    &[reference.clone(), reference.with_digest(digest)],
                    now,
                )
            });
        drop(lease);
        if built.is_err() {
            self.sweep()?;
        }
        built
    }
}

pub(crate) fn to_json(value: &impl serde::Serialize, what: &str) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| ImageError::corrupt(what, error.to_string()))
}

pub(crate) fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        platform: None,
        annotations: None,
    }
}

/// Lets the tar writer write into a blob; the blob's own error is kept, because it says more than an `io::Error`.
struct Sink<'a> {
    writer: &'a mut BlobWriter,
    error: Option<ImageError>,
}

impl Write for Sink<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.writer
            .write(data)
            .map(|()| data.len())
            .map_err(|error| {
                let text = error.to_string();
                self.error = Some(error);
                io::Error::other(text)
            })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_layer(writer: &mut BlobWriter, files: &[ImageFile], mtime: u64) -> Result<()> {
    let mut sink = Sink {
        writer,
        error: None,
    };
    let written = write_entries(&mut sink, files, mtime);
    match sink.error.take() {
        Some(error) => Err(error),
        None => written,
    }
}

fn write_entries(sink: &mut Sink<'_>, files: &[ImageFile], mtime: u64) -> Result<()> {
    let mut archive = tar::Builder::new(sink);
    let mut directories = BTreeSet::new();
    for file in files {
        let path = file.path.trim_matches('/');
        if path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(ImageError::entry(
                "image to build",
                &file.path,
                "has a path that is not plain",
            ));
        }
        let failed = |error| ImageError::io("add to the image", path.as_ref(), error);
        for (end, _) in path.match_indices('/') {
            if directories.insert(path[..end].to_owned()) {
                let mut header = header(EntryType::Directory, 0o755, 0, mtime);
                archive
                    .append_data(&mut header, format!("{}/", &path[..end]), io::empty())
                    .map_err(failed)?;
            }
        }
        match &file.content {
            FileContent::Directory => {
                if directories.insert(path.to_owned()) {
                    let mut header = header(EntryType::Directory, file.mode, 0, mtime);
                    archive
                        .append_data(&mut header, format!("{path}/"), io::empty())
                        .map_err(failed)?;
                }
            }
            FileContent::Symlink(target) => {
                let mut header = header(EntryType::Symlink, 0o777, 0, mtime);
                archive
                    .append_link(&mut header, path, target)
                    .map_err(failed)?;
            }
            FileContent::Bytes(bytes) => {
                let mut header = header(EntryType::Regular, file.mode, bytes.len() as u64, mtime);
                archive
                    .append_data(&mut header, path, bytes.as_slice())
                    .map_err(failed)?;
            }
            FileContent::FromPath(source) => {
                let failed = |error| ImageError::io("read", source, error);
                let content = File::open(source).map_err(failed)?;
                let size = content.metadata().map_err(failed)?.len();
                let mut header = header(EntryType::Regular, file.mode, size, mtime);
                // The header says how much follows, whatever happens to the file meanwhile.
                archive
                    .append_data(&mut header, path, content.take(size))
                    .map_err(failed)?;
            }
        }
    }
    archive
        .finish()
        .map_err(|error| ImageError::io("write", "layer".as_ref(), error))
}

fn header(kind: EntryType, mode: u32, size: u64, mtime: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode & 0o7777);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    header
}
