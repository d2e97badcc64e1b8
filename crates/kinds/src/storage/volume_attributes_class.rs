//! `VolumeAttributesClass` of `storage.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

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
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: false,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
