//! `StorageClass` of `storage.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

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
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: false,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
