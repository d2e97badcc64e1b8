//! `StorageClass` of `storage.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `StorageClass` of `storage.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("storage.k8s.io", "v1", "StorageClass"),
    resource: Resource::new("storage.k8s.io", "storageclasses"),
    list_kind: "StorageClassList",
    plural: "storageclasses",
    singular: "storageclass",
    short_names: &["sc"],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("storage.k8s.io", "v1", "StorageClass")),
    storage_version_hash: "K+m6uJwbjGY=",
    type_name: "storage/v1.StorageClass",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Provisioner", "string", "", 0),
        Column::new("ReclaimPolicy", "string", "", 0),
        Column::new("VolumeBindingMode", "string", "", 0),
        Column::new("AllowVolumeExpansion", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

/// Marks the class that claims without one get.
const DEFAULT_CLASS: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

fn default(value: &mut Value) {
    let Some(class) = value.as_object_mut() else {
        return;
    };
    fields::fill(class, "reclaimPolicy", "Delete");
    fields::fill(class, "volumeBindingMode", "Immediate");
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let annotations = value.pointer("/metadata/annotations");
    let is_default = DEFAULT_CLASS.iter().any(|name| {
        annotations
            .and_then(|map| map.get(*name))
            .is_some_and(|text| text == "true")
    });
    let name = match is_default {
        true => format!("{} (default)", fields::text(value, "/metadata/name")),
        false => fields::text(value, "/metadata/name").to_owned(),
    };
    vec![
        name.into(),
        print::text(value, "/provisioner"),
        print::text_or(value, "/reclaimPolicy", "Delete"),
        print::text_or(value, "/volumeBindingMode", "Immediate"),
        print::flag(value, "/allowVolumeExpansion"),
        print::created(value, now),
    ]
}
