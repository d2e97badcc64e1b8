//! `PersistentVolume` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `PersistentVolume` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "PersistentVolume"),
    resource: Resource::new("", "persistentvolumes"),
    list_kind: "PersistentVolumeList",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("", "v1", "PersistentVolume"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("", "v1", "PersistentVolume")),
    storage_version_hash: "HN/zwEC+JgM=",
    type_name: "core/v1.PersistentVolume",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Capacity", "string", "", 0),
        Column::new("Access Modes", "string", "", 0),
        Column::new("Reclaim Policy", "string", "", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Claim", "string", "", 0),
        Column::new("StorageClass", "string", "", 0),
        Column::new("VolumeAttributesClass", "string", "", 0),
        Column::new("Reason", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("VolumeMode", "string", "", 1),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: false,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
