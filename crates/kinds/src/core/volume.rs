//! What is filled in for volume sources, of pods and of persistent volumes.
//!
//! Writes only the source it is given, and leaves set members alone.

use serde_json::{Map, Value};

use super::container::{field_source, pull_policy};
use crate::fields::{fill, fill_zero, items_mut, map_in, member, text_in, unset};

/// Permissions of files that a volume projects: 0644.
const FILE_MODE: i64 = 0o644;
/// Life of a projected service account token.
const TOKEN_SECONDS: i64 = 3600;
/// Longest life of a projected pod certificate.
const CERTIFICATE_SECONDS: i64 = 86_400;

/// Fills in one volume of a pod. One without a source is an empty directory.
pub(crate) fn default(volume: &mut Map<String, Value>) {
    if volume
        .iter()
        .all(|(name, source)| name == "name" || source.is_null())
    {
        member(volume, "emptyDir");
    }
    source(volume);
    for name in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(files) = map_in(volume, name) {
            fill(files, "defaultMode", FILE_MODE);
        }
    }
    if let Some(files) = map_in(volume, "downwardAPI") {
        items_mut(files, "items").for_each(field_source);
    }
    if let Some(projected) = map_in(volume, "projected") {
        items_mut(projected, "sources").for_each(projection);
    }
    if let Some(image) = map_in(volume, "image") {
        let policy = pull_policy(text_in(image, "reference"));
        fill_zero(image, "pullPolicy", policy);
    }
    if let Some(ephemeral) = map_in(volume, "ephemeral")
        && let Some(template) = map_in(ephemeral, "volumeClaimTemplate")
    {
        claim_spec(member(template, "spec"));
    }
}

/// Fills in the spec of a claim.
pub(crate) fn claim_spec(spec: &mut Map<String, Value>) {
    fill(spec, "volumeMode", "Filesystem");
}

/// Fills in the sources that pods and persistent volumes share.
pub(crate) fn source(holder: &mut Map<String, Value>) {
    if let Some(path) = map_in(holder, "hostPath") {
        fill(path, "type", "");
    }
    if let Some(iscsi) = map_in(holder, "iscsi") {
        fill_zero(iscsi, "iscsiInterface", "default");
    }
    if let Some(rbd) = map_in(holder, "rbd") {
        fill_zero(rbd, "pool", "rbd");
        fill_zero(rbd, "user", "admin");
        fill_zero(rbd, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = map_in(holder, "azureDisk") {
        fill(disk, "cachingMode", "ReadWrite");
        fill(disk, "fsType", "ext4");
        fill(disk, "readOnly", false);
        fill(disk, "kind", "Shared");
    }
    if let Some(scale) = map_in(holder, "scaleIO") {
        fill_zero(scale, "storageMode", "ThinProvisioned");
        fill_zero(scale, "fsType", "xfs");
    }
}

fn projection(source: &mut Map<String, Value>) {
    if let Some(token) = map_in(source, "serviceAccountToken") {
        fill(token, "expirationSeconds", TOKEN_SECONDS);
    }
    if let Some(files) = map_in(source, "downwardAPI") {
        items_mut(files, "items").for_each(field_source);
    }
    if let Some(certificate) = map_in(source, "podCertificate")
        && unset(certificate, "maxExpirationSeconds")
    {
        fill(certificate, "maxExpirationSeconds", CERTIFICATE_SECONDS);
    }
}
