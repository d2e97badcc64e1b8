//! Import of image archives: OCI layouts and what `docker save` writes, as tar, gzip or zstd, with one or several images.
//!
//! Reads the archive once, in any order of entries; blobs go straight to the store, verified; small JSON files stay in memory
//! (bounded). Invariants: no entry name ever becomes a path on this machine; an archive that fails leaves nothing behind.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use crate::builder::{descriptor, to_json};
use crate::compression::{Cap, decompress};
use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::spec::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, Document, Index, Manifest, OCI_CONFIG,
    OCI_LAYER, select,
};
use crate::store::{Image, ImageStore, Lease};
use crate::tarball::{Entry, TarStream};

const ARCHIVE: &str = "image archive";
const BLOB_DIR: &str = "blobs/sha256/";
/// An index may point at an index (as `docker save` and buildx write it), but not much further.
const INDEX_DEPTH: usize = 3;
/// Links to links between layers, as old versions of `docker save` write them.
const LINK_DEPTH: usize = 8;

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Becomes the images' last use.
    pub now: Timestamp,
    /// Which image of a multi-platform one; this machine's by default.
    pub platform: Platform,
    /// The repository for images whose archive names a tag only.
    pub base_name: Option<String>,
    /// Unpack the layers too, so that a layer that cannot be unpacked fails the import.
    pub unpack: bool,
}

impl ImportOptions {
    /// This machine's platform, unpacking.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            platform: Platform::host(),
            base_name: None,
            unpack: true,
        }
    }
}

/// An entry of Docker's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// What was read from the archive.
struct Contents {
    /// Files that became blobs, by their name in the archive.
    blobs: HashMap<String, Digest>,
    json: HashMap<String, Vec<u8>>,
    /// Links inside the archive: name and target, both as names in the archive.
    links: HashMap<String, String>,
    lease: Lease,
}

/// An image of the archive: its manifest and its names.
struct Found {
    digest: Digest,
    manifest: Manifest,
    names: Vec<Reference>,
}

impl ImageStore {
    /// Imports the archive at `path`.
    pub fn import_file(&self, path: &Path, options: &ImportOptions) -> Result<Vec<Arc<Image>>> {
        let file = File::open(path).map_err(|error| ImageError::io("open", path, error))?;
        self.import(file, options)
    }

    /// Imports all images of the archive that `source` yields. Either all are recorded or none.
    pub fn import(
        &self,
        source: impl Read + Send,
        options: &ImportOptions,
    ) -> Result<Vec<Arc<Image>>> {
        let imported = self.import_unswept(source, options);
        // Blobs for other platforms, and everything after a failure.
        let swept = self.sweep();
        let images = imported?;
        swept.map(|_| images)
    }

    fn import_unswept(
        &self,
        source: impl Read + Send,
        options: &ImportOptions,
    ) -> Result<Vec<Arc<Image>>> {
        let mut contents = self.read_archive(source)?;
        let mut found = if contents.json.contains_key("index.json") {
            self.oci_images(&contents, options)?
        } else if contents.json.contains_key("manifest.json") {
            self.docker_images(&mut contents)?
        } else {
            let problem =
                "it holds neither index.json (OCI layout) nor manifest.json (docker save)";
            return Err(ImageError::corrupt(ARCHIVE, problem));
        };
        self.add_docker_names(&contents, &mut found)?;
        let mut candidates = Vec::new();
        for image in &found {
            let name = image
                .names
                .first()
                .map_or_else(|| image.digest.to_string(), Reference::to_string);
            let candidate =
                self.assemble(image.digest, &image.manifest, &name, &mut contents.lease)?;
            if options.unpack {
                self.unpack_candidate(&candidate)?;
            }
            candidates.push(candidate);
        }
        let pairs = candidates.into_iter().zip(&found);
        pairs
            .map(|(candidate, image)| self.admit(candidate, &image.names, options.now))
            .collect()
    }

    fn read_archive(&self, source: impl Read + Send) -> Result<Contents> {
        let limits = self.limits();
        let bytes = limits.layer_bytes.saturating_mul(limits.layers);
        let plain = decompress(
            source,
            Cap {
                limit: "layer_bytes",
                bytes,
                what: ARCHIVE.to_owned(),
            },
        )?;
        let entries = ("archive_entries", limits.archive_entries);
        let mut stream = TarStream::new(plain, ARCHIVE, entries, limits.extended_header_bytes);
        let (blobs, json, links) = Default::default();
        let mut contents = Contents {
            blobs,
            json,
            links,
            lease: self.lease([]),
        };
        let mut json_bytes = 0;
        while let Some(entry) = stream.next_entry()? {
            let name = archive_path(&entry.path, &entry.name(), "")?;
            if entry.kind.is_dir() {
                continue;
            } else if entry.kind.is_symlink() || entry.kind.is_hard_link() {
                let target = link_target(&entry, &name)?;
                contents.links.insert(name, target);
            } else if !entry.kind.is_file() {
                return Err(ImageError::entry(
                    ARCHIVE,
                    &entry.name(),
                    "is neither a file nor a link",
                ));
            } else if let Some(digest) = name.strip_prefix(BLOB_DIR).and_then(Digest::from_hex) {
                contents.lease.add(digest);
                if self.blob_size(&digest).is_none() {
                    let mut writer = self.blob_writer(
                        &format!("{name} of the {ARCHIVE}"),
                        ("layer_bytes", limits.layer_bytes),
                    )?;
                    writer.copy(|buffer| stream.read_data(buffer))?;
                    writer.commit(&digest)?;
                }
                contents.blobs.insert(name, digest);
            } else if name.ends_with(".json") {
                json_bytes += entry.size;
                if json_bytes > limits.archive_metadata_bytes {
                    let what = format!("size of the JSON files of the {ARCHIVE}");
                    return Err(ImageError::limit(
                        "archive_metadata_bytes",
                        limits.archive_metadata_bytes,
                        what,
                    ));
                }
                contents.json.insert(name, stream.read_whole()?);
            } else if name.ends_with(".tar") || name.ends_with(".tar.gz") || name.ends_with(".tgz")
            {
                let mut writer = self.blob_writer(
                    &format!("{name} of the {ARCHIVE}"),
                    ("layer_bytes", limits.layer_bytes),
                )?;
                writer.copy(|buffer| stream.read_data(buffer))?;
                let digest = writer.commit_any(&mut contents.lease)?;
                contents.blobs.insert(name, digest);
            }
        }
        stream.drain()?;
        Ok(contents)
    }

    /// The images of an OCI layout: entries of one name are one image for several platforms.
    fn oci_images(&self, contents: &Contents, options: &ImportOptions) -> Result<Vec<Found>> {
        let text = contents
            .json
            .get("index.json")
            .map(Vec::as_slice)
            .unwrap_or_default();
        let index: Index = serde_json::from_slice(text).map_err(|error| {
            ImageError::corrupt(format!("index.json of the {ARCHIVE}"), error.to_string())
        })?;
        let mut named: BTreeMap<Reference, Vec<&Descriptor>> = BTreeMap::new();
        let mut nameless = Vec::new();
        for entry in index
            .manifests
            .iter()
            .filter(|entry| !entry.is_attachment())
        {
            match name_of(entry, options)? {
                Some(name) => named.entry(name).or_default().push(entry),
                None => nameless.push(entry),
            }
        }
        let mut found: Vec<Found> = Vec::new();
        for (name, entries) in named {
            let entry = select(entries.into_iter(), &options.platform, &name.to_string())?;
            let (digest, manifest) = self.resolve(entry, options, &name.to_string())?;
            let names = vec![name.clone(), name.with_digest(entry.digest)];
            found.push(Found {
                digest,
                manifest,
                names,
            });
        }
        // Without names, entries for other platforms are passed over as long as there is one for this.
        let mut mismatch = None;
        for entry in nameless {
            match select([entry].into_iter(), &options.platform, ARCHIVE)
                .and_then(|entry| self.resolve(entry, options, ARCHIVE))
            {
                Ok((digest, manifest)) => found.push(Found {
                    digest,
                    manifest,
                    names: Vec::new(),
                }),
                Err(error @ ImageError::NoMatchingPlatform { .. }) => mismatch = Some(error),
                Err(error) => return Err(error),
            }
        }
        match (found.is_empty(), mismatch) {
            (true, Some(error)) => Err(error),
            (true, None) => Err(ImageError::corrupt(
                ARCHIVE,
                "its index.json lists no image",
            )),
            (false, _) => Ok(found),
        }
    }

    /// Follows indexes down to a manifest.
    fn resolve(
        &self,
        entry: &Descriptor,
        options: &ImportOptions,
        what: &str,
    ) -> Result<(Digest, Manifest)> {
        let mut digest = entry.digest;
        for _ in 0..INDEX_DEPTH {
            if self.blob_size(&digest).is_none() {
                return Err(ImageError::corrupt(
                    format!("image {what}"),
                    format!("its manifest {digest} is missing"),
                ));
            }
            let text = self.read_blob(&digest, ("manifest_bytes", self.limits().manifest_bytes))?;
            match Document::parse(&text, what)? {
                Document::Manifest(manifest) => return Ok((digest, manifest)),
                Document::Index(index) => digest = index.select(&options.platform, what)?.digest,
            }
        }
        Err(ImageError::corrupt(
            format!("image {what}"),
            "its indexes are nested too deeply",
        ))
    }

    /// The images of a `docker save` archive, which has no manifests: they are made.
    fn docker_images(&self, contents: &mut Contents) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for image in docker_manifest(contents)? {
            let what = image
                .repo_tags
                .iter()
                .flatten()
                .next()
                .unwrap_or(&image.config)
                .clone();
            let missing = |role: &str, name: &str| {
                ImageError::corrupt(
                    format!("image {what}"),
                    format!("its {role} {name:?} is missing"),
                )
            };
            let name = contents.follow(&image.config)?;
            let config = match (contents.json.get(&name), contents.blobs.get(&name)) {
                (Some(text), _) => text.clone(),
                (None, Some(digest)) => {
                    self.read_blob(digest, ("config_bytes", self.limits().config_bytes))?
                }
                (None, None) => return Err(missing("configuration", &image.config)),
            };
            let diff_ids = ImageConfig::parse(&config, &what)?.diff_ids().to_vec();
            let config_digest = self.put_blob(&what, &config, &mut contents.lease)?;
            let mut layers = Vec::new();
            for (at, layer) in image.layers.iter().flatten().enumerate() {
                let digest = contents
                    .follow(layer)
                    .map(|name| contents.blobs.get(&name).copied())?;
                let digest = digest.ok_or_else(|| missing("layer", layer))?;
                let size = self.blob_size(&digest).unwrap_or(0);
                if is_plain_tar(self, &digest)?
                    && diff_ids.get(at).is_some_and(|diff_id| *diff_id != digest)
                {
                    return Err(ImageError::corrupt(
                        format!("layer {layer} of {what}"),
                        format!("its content has digest {digest}"),
                    ));
                }
                layers.push(descriptor(OCI_LAYER, digest, size));
            }
            let manifest = Manifest::new(
                descriptor(OCI_CONFIG, config_digest, config.len() as u64),
                layers,
            );
            let text = to_json(&manifest, &what)?;
            let digest = self.put_blob(&what, &text, &mut contents.lease)?;
            found.push(Found {
                digest,
                manifest,
                names: Vec::new(),
            });
        }
        if found.is_empty() {
            return Err(ImageError::corrupt(
                ARCHIVE,
                "its manifest.json lists no image",
            ));
        }
        Ok(found)
    }

    /// Names from Docker's `manifest.json`, which newer versions of Docker write beside an OCI layout.
    fn add_docker_names(&self, contents: &Contents, found: &mut [Found]) -> Result<()> {
        if !contents.json.contains_key("manifest.json") {
            return Ok(());
        }
        for image in docker_manifest(contents)? {
            let name = contents.follow(&image.config)?;
            let config = contents
                .json
                .get(&name)
                .map(|text| Digest::of(text))
                .or_else(|| contents.blobs.get(&name).copied());
            for tag in image.repo_tags.iter().flatten() {
                let reference = Reference::parse(tag)?;
                for found in found
                    .iter_mut()
                    .filter(|found| Some(found.manifest.config.digest) == config)
                {
                    if !found.names.contains(&reference) {
                        found.names.push(reference.clone());
                    }
                }
            }
        }
        Ok(())
    }
}

impl Contents {
    /// The file that a name from `manifest.json` stands for.
    fn follow(&self, name: &str) -> Result<String> {
        let mut name = archive_path(name.as_bytes(), name, "is named by manifest.json and ")?;
        for _ in 0..LINK_DEPTH {
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => return Ok(name),
            }
        }
        Err(ImageError::entry(
            ARCHIVE,
            &name,
            "is a link to a link to a link, too many times",
        ))
    }
}

fn docker_manifest(contents: &Contents) -> Result<Vec<DockerImage>> {
    let text = contents
        .json
        .get("manifest.json")
        .map(Vec::as_slice)
        .unwrap_or_default();
    serde_json::from_slice(text).map_err(|error| {
        ImageError::corrupt(format!("manifest.json of the {ARCHIVE}"), error.to_string())
    })
}

/// Whether a layer is stored as it unpacks, so that its digest must be its diff id.
fn is_plain_tar(store: &ImageStore, digest: &Digest) -> Result<bool> {
    let mut magic = Vec::new();
    let read = store.open_blob(digest)?.take(262).read_to_end(&mut magic);
    read.map_err(|error| ImageError::io("read", digest.hex().as_ref(), error))?;
    Ok(magic.ends_with(b"ustar"))
}

/// The name that an index entry's annotations give.
fn name_of(entry: &Descriptor, options: &ImportOptions) -> Result<Option<Reference>> {
    if let Some(name) = entry.annotation(ANNOTATION_IMAGE_NAME) {
        return Reference::parse(name).map(Some);
    }
    let Some(name) = entry.annotation(ANNOTATION_REF_NAME) else {
        return Ok(None);
    };
    if name.contains(['/', ':']) {
        return Reference::parse(name).map(Some);
    }
    // The image spec allows a bare tag here, and most tools write one.
    options
        .base_name
        .as_ref()
        .map(|base| Reference::parse(&format!("{base}:{name}")))
        .transpose()
}

/// A name inside the archive, without `./`; refused when it is absolute or climbs.
fn archive_path(path: &[u8], entry: &str, context: &str) -> Result<String> {
    let refuse = |problem: &str| ImageError::entry(ARCHIVE, entry, format!("{context}{problem}"));
    let Ok(path) = std::str::from_utf8(path) else {
        return Err(refuse("has a name that is not UTF-8"));
    };
    if path.starts_with('/') {
        return Err(refuse("has an absolute path"));
    }
    let parts: Vec<_> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.contains(&"..") {
        return Err(refuse("leaves the archive by its name"));
    }
    Ok(parts.join("/"))
}

/// What a link points at, as a name in the archive.
fn link_target(entry: &Entry, name: &str) -> Result<String> {
    let own = entry.name();
    let target = String::from_utf8_lossy(&entry.link).into_owned();
    let refuse = |problem: &str| {
        ImageError::entry(ARCHIVE, &own, format!("is a link to {target:?}, {problem}"))
    };
    if target.starts_with('/') {
        return Err(refuse("which is an absolute path"));
    }
    // A hard link's target counts from the archive's root, a symbolic link's from the link's directory.
    let mut parts: Vec<&str> = match (entry.kind.is_symlink(), name.rsplit_once('/')) {
        (true, Some((dir, _))) => dir.split('/').collect(),
        _ => Vec::new(),
    };
    for part in target
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        if part != ".." {
            parts.push(part);
        } else if parts.pop().is_none() {
            return Err(refuse("which leaves the archive"));
        }
    }
    Ok(parts.join("/"))
}
