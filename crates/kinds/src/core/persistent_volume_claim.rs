//! `PersistentVolumeClaim` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `PersistentVolumeClaim` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "PersistentVolumeClaim"),
    resource: Resource::new("", "persistentvolumeclaims"),
    list_kind: "PersistentVolumeClaimList",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("", "v1", "PersistentVolumeClaim"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("", "v1", "PersistentVolumeClaim")),
    storage_version_hash: "QWTyNDq0dC4=",
    type_name: "core/v1.PersistentVolumeClaim",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Volume", "string", "", 0),
        Column::new("Capacity", "string", "", 0),
        Column::new("Access Modes", "string", "", 0),
        Column::new("StorageClass", "string", "", 0),
        Column::new("VolumeAttributesClass", "string", "", 0),
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
