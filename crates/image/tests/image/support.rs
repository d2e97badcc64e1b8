//! Stores, tarballs and images for the tests.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use image::{Digest, Image, ImageError, ImageStore, ImportOptions, Limits, StoreOptions};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// For the start of tests that make devices, owners or trusted attributes.
pub(crate) fn needs_root() -> bool {
    if !is_root() {
        println!("skipped: needs root");
    }
    is_root()
}

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) store: ImageStore,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(
            &dir.path().join("images"),
            StoreOptions {
                limits,
                ephemeral: true,
            },
        )
        .unwrap();
        Self { dir, store }
    }

    pub(crate) fn import(&self, archive: &[u8]) -> Result<Vec<std::sync::Arc<Image>>, ImageError> {
        self.store.import(archive, &ImportOptions::new(time(100)))
    }

    /// Imports an image of these layers and gives its layer directories, topmost first.
    pub(crate) fn unpack(&self, layers: &[Vec<u8>]) -> Result<Vec<PathBuf>, ImageError> {
        let mut archive = OciArchive::default();
        archive.image("test.example/app:v1", layers, json!({}));
        let images = self.import(&archive.tar())?;
        let id = images[0].id.to_string();
        Ok(self
            .store
            .prepare_rootfs(&id, &self.dir.path().join("container"), time(100))?
            .lower)
    }

    /// Fails unless the store holds no content at all.
    pub(crate) fn assert_empty(&self) {
        let count = |name: &str| fs::read_dir(self.store.dir().join(name)).unwrap().count();
        let left = (
            count("blobs/sha256"),
            count("snapshots"),
            count("l"),
            count("ingest"),
            count("trash"),
        );
        // `l/0` is the lower directory of images without layers.
        assert_eq!(
            left,
            (0, 0, 1, 0, 0),
            "blobs, snapshots, layers, ingest, trash"
        );
        assert!(self.store.images().is_empty());
    }
}

/// One entry of a tarball, written as told, however hostile.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    pub(crate) path: &'a str,
    pub(crate) kind: u8,
    pub(crate) data: &'a [u8],
    pub(crate) link: &'a str,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) device: (u32, u32),
    pub(crate) xattrs: &'a [(&'a str, &'a [u8])],
}

impl<'a> Item<'a> {
    fn new(path: &'a str, kind: u8) -> Self {
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let owner = (u64::from(uid), u64::from(gid));
        Self {
            path,
            kind,
            data: b"",
            link: "",
            mode: 0o644,
            owner,
            device: (0, 0),
            xattrs: &[],
        }
    }

    pub(crate) fn file(path: &'a str, data: &'a [u8]) -> Self {
        Self {
            data,
            ..Self::new(path, b'0')
        }
    }

    pub(crate) fn dir(path: &'a str, mode: u32) -> Self {
        Self {
            mode,
            ..Self::new(path, b'5')
        }
    }

    pub(crate) fn symlink(path: &'a str, link: &'a str) -> Self {
        Self {
            link,
            ..Self::new(path, b'2')
        }
    }

    pub(crate) fn hard_link(path: &'a str, link: &'a str) -> Self {
        Self {
            link,
            ..Self::new(path, b'1')
        }
    }

    pub(crate) fn special(path: &'a str, kind: u8, device: (u32, u32)) -> Self {
        Self {
            device,
            ..Self::new(path, kind)
        }
    }
}

pub(crate) const MTIME: u64 = 1_700_000_000;

pub(crate) fn tar(items: &[Item]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        if !item.xattrs.is_empty() {
            let names: Vec<_> = item
                .xattrs
                .iter()
                .map(|(name, _)| format!("SCHILY.xattr.{name}"))
                .collect();
            let records = names
                .iter()
                .map(String::as_str)
                .zip(item.xattrs.iter().map(|(_, value)| *value));
            builder.append_pax_extensions(records).unwrap();
        }
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..item.path.len()].copy_from_slice(item.path.as_bytes());
        header.as_old_mut().linkname[..item.link.len()].copy_from_slice(item.link.as_bytes());
        header.as_old_mut().linkflag = [item.kind];
        header.set_size(item.data.len() as u64);
        header.set_mode(item.mode);
        header.set_uid(item.owner.0);
        header.set_gid(item.owner.1);
        header.set_mtime(MTIME);
        header.set_device_major(item.device.0).unwrap();
        header.set_device_minor(item.device.1).unwrap();
        header.set_cksum();
        builder.append(&header, item.data).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Bytes that do not compress, always the same.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(size).collect()
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).unwrap()
}

/// The uncompressed form of a layer.
fn plain(layer: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    // A layer that is cut off still needs some digest.
    let _ = match layer {
        [0x1f, 0x8b, ..] => flate2::read::MultiGzDecoder::new(layer).read_to_end(&mut out),
        [0x28, 0xb5, ..] => zstd::Decoder::new(layer).unwrap().read_to_end(&mut out),
        _ => out.write_all(layer).map(|()| 0),
    };
    out
}

pub(crate) fn host_architecture() -> String {
    image::Platform::host().architecture
}

/// Configuration, manifest and layers of an image.
pub(crate) struct Parts {
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) layers: Vec<Vec<u8>>,
}

pub(crate) fn parts(layers: &[Vec<u8>], defaults: Value, architecture: &str) -> Parts {
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| Digest::of(&plain(layer)).to_string())
        .collect();
    let config = json!({
        "architecture": architecture, "os": "linux", "created": "2024-01-01T00:00:00Z", "config": defaults,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = serde_json::to_vec(&config).unwrap();
    let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let entries: Vec<_> = layers
        .iter()
        .map(|layer| descriptor(layer_type, layer))
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config), "layers": entries,
    });
    Parts {
        config,
        manifest: serde_json::to_vec(&manifest).unwrap(),
        layers: layers.to_vec(),
    }
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(content), "size": content.len()})
}

/// An OCI layout under construction.
#[derive(Default)]
pub(crate) struct OciArchive {
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) index: Vec<Value>,
}

impl OciArchive {
    /// Adds an image named by `io.containerd.image.name`.
    pub(crate) fn image(&mut self, name: &str, layers: &[Vec<u8>], defaults: Value) {
        let mut entry = self.add(&parts(layers, defaults, &host_architecture()));
        entry["annotations"] = json!({"io.containerd.image.name": name});
        self.index.push(entry);
    }

    /// Adds the blobs of an image; the index entry for it.
    pub(crate) fn add(&mut self, parts: &Parts) -> Value {
        self.blobs.extend(parts.layers.iter().cloned());
        self.blobs
            .extend([parts.config.clone(), parts.manifest.clone()]);
        descriptor(
            "application/vnd.oci.image.manifest.v1+json",
            &parts.manifest,
        )
    }

    pub(crate) fn tar(&self) -> Vec<u8> {
        let index =
            serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": self.index})).unwrap();
        let names: Vec<_> = self
            .blobs
            .iter()
            .map(|blob| format!("blobs/sha256/{}", Digest::of(blob).hex()))
            .collect();
        let mut items = vec![
            Item::file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
            Item::file("index.json", &index),
        ];
        items.extend(
            names
                .iter()
                .zip(&self.blobs)
                .map(|(name, blob)| Item::file(name, blob)),
        );
        tar(&items)
    }
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
