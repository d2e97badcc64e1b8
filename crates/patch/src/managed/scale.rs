//! Ownership across the scale subresource.
//!
//! A Scale shows one field of its parent, `spec.replicas`. Who owns that field of
//! the parent owns it in the Scale, and the other way round.

use serde_json::Value;

use super::entries::{Entry, EntryError, ManagedFields};
use crate::fields::{Element, FieldSet};

const SCALE_VERSION: &str = "autoscaling/v1";

/// Where a version of the parent keeps its replicas.
#[derive(Clone, Debug)]
pub struct ScalePath<'a> {
    /// `apiVersion` of the parent.
    pub api_version: &'a str,
    /// The member names that lead to the field; `None` if this version has no scale.
    pub replicas: Option<&'a [&'a str]>,
}

impl ScalePath<'_> {
    fn path(&self) -> Option<Vec<Element>> {
        Some(
            self.replicas?
                .iter()
                .map(|name| Element::field(name))
                .collect(),
        )
    }
}

fn find<'p, 'a>(paths: &'p [ScalePath<'a>], api_version: &str) -> Option<&'p ScalePath<'a>> {
    paths.iter().find(|path| path.api_version == api_version)
}

fn in_scale() -> FieldSet {
    FieldSet::of(&[&["spec", "replicas"]])
}

/// `managedFields` of a Scale, from those of its parent.
///
/// # Errors
/// If the parent's are garbled.
pub fn to_scale(parent: &Value, paths: &[ScalePath<'_>]) -> Result<Value, EntryError> {
    let mut scale = ManagedFields::default();
    for entry in ManagedFields::parse(parent)?.entries() {
        let path = find(paths, &entry.api_version).and_then(ScalePath::path);
        if path.is_some_and(|path| entry.fields().has(&path)) {
            let mut entry = entry.clone();
            entry.api_version = SCALE_VERSION.to_owned();
            entry.set_fields(in_scale());
            scale.put(entry);
        }
    }
    Ok(scale.into_value())
}

/// `managedFields` of the parent (of version `api_version`) after a write to its
/// Scale, whose `managedFields` are `scale`. New owners have no time.
///
/// # Errors
/// If either is garbled.
pub fn scale_to_parent(
    parent: &Value,
    scale: &Value,
    api_version: &str,
    paths: &[ScalePath<'_>],
) -> Result<Value, EntryError> {
    let mut scale = ManagedFields::parse(scale)?;
    let mut out = ManagedFields::default();
    for entry in ManagedFields::parse(parent)?.entries() {
        let Some(known) = find(paths, &entry.api_version) else {
            continue;
        };
        let path = known.path().filter(|path| entry.fields().has(path));
        let Some(path) = path else {
            out.put(entry.clone());
            continue;
        };
        // An updater of the parent and one of the Scale differ by version, so only
        // appliers are found again here.
        if scale.take(entry).is_some() {
            out.put(entry.clone());
            continue;
        }
        let mut lost = FieldSet::new();
        lost.insert(&path);
        let mut entry = entry.clone();
        let left = entry.fields().difference(&lost);
        if !left.is_empty() {
            entry.set_fields(left);
            out.put(entry);
        }
    }
    let replicas = find(paths, api_version).and_then(ScalePath::path);
    for entry in scale.entries() {
        let (true, Some(path)) = (has_replicas(entry), &replicas) else {
            continue;
        };
        let mut owned = FieldSet::new();
        owned.insert(path);
        let mut entry = entry.clone();
        entry.api_version = api_version.to_owned();
        entry.time = None;
        if let Some(same) = out.find(&entry) {
            owned = owned.union(same.fields());
        }
        entry.set_fields(owned);
        out.put(entry);
    }
    Ok(out.into_value())
}

fn has_replicas(entry: &Entry) -> bool {
    entry
        .fields()
        .has(&[Element::field("spec"), Element::field("replicas")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scale_update_takes_replicas_from_the_applier() {
        let paths = [ScalePath {
            api_version: "apps/v1",
            replicas: Some(&["spec", "replicas"]),
        }];
        let parent = json!([{"manager": "one", "operation": "Apply", "apiVersion": "apps/v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:paused": {}, "f:replicas": {}}}}]);
        let scale = to_scale(&parent, &paths).unwrap();
        assert_eq!(
            scale,
            json!([{"manager": "one", "operation": "Apply", "apiVersion": "autoscaling/v1",
                "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:replicas": {}}}}])
        );
        assert_eq!(
            scale_to_parent(&parent, &scale, "apps/v1", &paths).unwrap(),
            parent
        );
        let scaled = json!([{"manager": "hpa", "operation": "Update", "apiVersion": "autoscaling/v1",
            "time": "2026-01-02T00:00:00Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}}}, "subresource": "scale"}]);
        assert_eq!(
            scale_to_parent(&parent, &scaled, "apps/v1", &paths).unwrap(),
            json!([{"manager": "one", "operation": "Apply", "apiVersion": "apps/v1",
                "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:paused": {}}}},
                {"manager": "hpa", "operation": "Update", "apiVersion": "apps/v1",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}, "subresource": "scale"}])
        );
    }
}
