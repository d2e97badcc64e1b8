//! `VolumeAttributesClass` of `storage.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `VolumeAttributesClass` of `storage.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("storage.k8s.io", "v1", "VolumeAttributesClass"),
    resource: Resource::new("storage.k8s.io", "volumeattributesclasses"),
    list_kind: "VolumeAttributesClassList",
    plural: "volumeattributesclasses",
    singular: "volumeattributesclass",
    short_names: &["vac"],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("storage.k8s.io", "v1", "VolumeAttributesClass")),
    storage_version_hash: "tIjydgKBC5w=",
    type_name: "storage/v1.VolumeAttributesClass",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("DriverName", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

/// Marks the class that claims without one get.
const DEFAULT_CLASS: &str = "volumeattributesclass.alpha.kubernetes.io/is-default-class";

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let is_default = value
        .pointer("/metadata/annotations")
        .and_then(|map| map.get(DEFAULT_CLASS))
        .is_some_and(|text| text == "true");
    let name = match is_default {
        true => format!("{} (default)", fields::text(value, "/metadata/name")),
        false => fields::text(value, "/metadata/name").to_owned(),
    };
    vec![
        name.into(),
        print::text(value, "/driverName"),
        print::created(value, now),
    ]
}
