//! From stored blobs to an image record: the one place where manifest, configuration and layers are checked against each
//! other, whether they were pulled, imported or built.
//!
//! Invariant: an image that fits together here can be unpacked, or fails with an error about one layer's content.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Image, ImageStore, Layer, Lease};
use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::reference::Reference;
use crate::spec::{Descriptor, Manifest};

/// A checked image that is not recorded yet.
pub(crate) struct Candidate {
    image: Image,
}

impl ImageStore {
    /// Checks that everything `manifest` names is stored and fits. `what` names the image in errors.
    pub(crate) fn assemble(
        &self,
        digest: Digest,
        manifest: &Manifest,
        what: &str,
        lease: &mut Lease,
    ) -> Result<Candidate> {
        let limits = self.limits();
        manifest.check(what, limits.layers)?;
        self.expect_blob(&manifest.config, "configuration", what)?;
        let config = self.read_blob(
            &manifest.config.digest,
            ("config_bytes", limits.config_bytes),
        )?;
        let config = ImageConfig::parse(&config, what)?;
        let (diff_ids, chain_ids) = (config.diff_ids(), config.chain_ids());
        if diff_ids.len() != manifest.layers.len() {
            let problem = format!(
                "it has {} layers, but its configuration names {}",
                manifest.layers.len(),
                diff_ids.len()
            );
            return Err(ImageError::corrupt(format!("image {what}"), problem));
        }
        let mut size = self.blob_size(&digest).unwrap_or(0) + manifest.config.size;
        let mut layers = Vec::with_capacity(diff_ids.len());
        for ((layer, diff_id), chain_id) in manifest.layers.iter().zip(diff_ids).zip(chain_ids) {
            self.expect_blob(layer, "layer", what)?;
            size += layer.size;
            lease.add(chain_id);
            layers.push(Layer {
                blob: layer.digest,
                size: layer.size,
                diff_id: *diff_id,
                chain_id,
            });
        }
        let image = Image {
            id: manifest.config.digest,
            manifest: digest,
            tags: Default::default(),
            digests: Default::default(),
            layers,
            size,
            pinned: false,
            config: Arc::new(config),
        };
        Ok(Candidate { image })
    }

    /// Unpacks the candidate's layers.
    pub(crate) fn unpack_candidate(&self, candidate: &Candidate) -> Result<()> {
        self.unpack_layers(&candidate.image.layers).map(drop)
    }

    /// Records the candidate under `names`.
    pub(crate) fn admit(
        &self,
        candidate: Candidate,
        names: &[Reference],
        now: Timestamp,
    ) -> Result<Arc<Image>> {
        let mut image = candidate.image;
        for name in names {
            image.add_name(name);
        }
        self.put_image(image, Some(now))
    }

    fn expect_blob(&self, descriptor: &Descriptor, role: &str, what: &str) -> Result<()> {
        let problem = match self.blob_size(&descriptor.digest) {
            None => format!("its {role} {} is missing", descriptor.digest),
            Some(size) if size != descriptor.size => {
                format!(
                    "its {role} {} has {size} bytes instead of {}",
                    descriptor.digest, descriptor.size
                )
            }
            Some(_) => return Ok(()),
        };
        Err(ImageError::corrupt(format!("image {what}"), problem))
    }
}
