//! Manifests, indexes and descriptors: the JSON documents that hold an image together.
//!
//! Reads OCI image spec 1.1 and Docker image manifest schema 2, which differ in media types only.
//! Invariant: a document that could be read as two kinds is refused (CVE-2021-41190).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::platform::Platform;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_SCHEMA1_PREFIX: &str = "application/vnd.docker.distribution.manifest.v1";

/// What a registry is asked for, in order of preference.
pub(crate) const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// Media type suffixes and words of layers that hold a file system.
const LAYER_WORDS: [&str; 2] = ["image.layer.", "image.rootfs."];

pub(crate) const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
pub(crate) const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";
/// BuildKit marks provenance documents, which sit in an index beside the images, with this.
const ANNOTATION_REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// Points at content by digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// True for entries of an index that are no image, such as attestations.
    pub(crate) fn is_attachment(&self) -> bool {
        self.annotation(ANNOTATION_REFERENCE_TYPE).is_some()
            || self
                .platform
                .as_ref()
                .is_some_and(|platform| platform.os == "unknown")
    }

    /// True for a layer that holds files. Artifacts (Helm charts, signatures) have manifests too, but other media types.
    pub(crate) fn is_file_system_layer(&self) -> bool {
        LAYER_WORDS
            .iter()
            .any(|word| self.media_type.contains(word))
    }
}

/// One image for one platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// Images for several platforms.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Index {
    pub(crate) manifests: Vec<Descriptor>,
}

/// What a manifest URL or an index entry may yield.
#[derive(Clone, Debug)]
pub(crate) enum Document {
    Manifest(Manifest),
    Index(Index),
}

/// Enough of any document to tell its kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    config: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    layers: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads a manifest or an index. `what` names it in errors.
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        let unreadable = |error: serde_json::Error| {
            ImageError::corrupt(format!("manifest of {what}"), error.to_string())
        };
        let outline: Outline = serde_json::from_slice(bytes).map_err(unreadable)?;
        let media_type = outline.media_type.as_deref().unwrap_or_default();
        if outline.schema_version == 1 || media_type.starts_with(DOCKER_SCHEMA1_PREFIX) {
            return Err(ImageError::Unsupported {
                what: format!("manifest of {what}"),
                problem:
                    "it is Docker schema 1, which registries have retired; push the image again"
                        .to_owned(),
            });
        }
        let is_index = outline.manifests.is_some();
        if is_index && (outline.config.is_some() || outline.layers.is_some()) {
            return Err(ImageError::corrupt(
                format!("manifest of {what}"),
                "it is a manifest and an index at once",
            ));
        }
        let contradicts = match media_type {
            OCI_INDEX | DOCKER_INDEX => !is_index,
            OCI_MANIFEST | DOCKER_MANIFEST => is_index,
            _ => false,
        };
        if contradicts {
            return Err(ImageError::corrupt(
                format!("manifest of {what}"),
                format!("its fields do not fit {media_type}"),
            ));
        }
        if is_index {
            serde_json::from_slice(bytes)
                .map(Self::Index)
                .map_err(unreadable)
        } else {
            serde_json::from_slice(bytes)
                .map(Self::Manifest)
                .map_err(unreadable)
        }
    }
}

impl Manifest {
    pub(crate) fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            config,
            layers,
        }
    }

    /// Refuses artifacts that are not container images, and images with too many layers.
    pub(crate) fn check(&self, what: &str, layers: u64) -> Result<()> {
        if let Some(odd) = self
            .layers
            .iter()
            .find(|layer| !layer.is_file_system_layer())
        {
            return Err(ImageError::Unsupported {
                what: what.to_owned(),
                problem: format!(
                    "{:?} is not a container image layer; is it an artifact such as a chart?",
                    odd.media_type
                ),
            });
        }
        if self.layers.len() as u64 > layers {
            return Err(ImageError::limit(
                "layers",
                layers,
                format!("number of layers of {what}"),
            ));
        }
        Ok(())
    }
}

impl Index {
    /// The entry that suits `wanted` best.
    pub(crate) fn select(&self, wanted: &Platform, what: &str) -> Result<&Descriptor> {
        select(self.manifests.iter(), wanted, what)
    }
}

/// The best of several entries for one platform. Entries without a platform match last: single-platform tools leave it out.
pub(crate) fn select<'a>(
    entries: impl Iterator<Item = &'a Descriptor> + Clone,
    wanted: &Platform,
    what: &str,
) -> Result<&'a Descriptor> {
    let images = entries.filter(|entry| !entry.is_attachment());
    let rank = |entry: &Descriptor| match &entry.platform {
        Some(platform) => wanted.rank(platform),
        None => Some(u32::MAX),
    };
    let best = images
        .clone()
        .filter_map(|entry| Some((rank(entry)?, entry)))
        .min_by_key(|(rank, _)| *rank);
    best.map(|(_, entry)| entry).ok_or_else(|| {
        let offered: Vec<_> = images
            .filter_map(|entry| Some(entry.platform.as_ref()?.to_string()))
            .collect();
        let available = if offered.is_empty() {
            "none".to_owned()
        } else {
            offered.join(", ")
        };
        ImageError::NoMatchingPlatform {
            what: what.to_owned(),
            wanted: wanted.to_string(),
            available,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn documents_are_told_apart_and_ambiguous_ones_refused() {
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{DIGEST}","size":1}},"layers":[]}}"#
        );
        assert!(matches!(
            Document::parse(manifest.as_bytes(), "a"),
            Ok(Document::Manifest(_))
        ));
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(matches!(
            Document::parse(index.as_bytes(), "a"),
            Ok(Document::Index(_))
        ));
        let table = [
            (
                r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
                "a manifest and an index at once",
            ),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, "Docker schema 1"),
            ("not json", "corrupt"),
            (
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#,
                "do not fit",
            ),
            (
                r#"{"schemaVersion":2,"config":{"digest":"sha256:../../x","size":1},"layers":[]}"#,
                "not a sha256 digest",
            ),
        ];
        for (text, message) in table {
            let error = Document::parse(text.as_bytes(), "a")
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
