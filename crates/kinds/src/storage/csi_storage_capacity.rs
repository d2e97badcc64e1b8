//! `CSIStorageCapacity` of `storage.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `CSIStorageCapacity` of `storage.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("storage.k8s.io", "v1", "CSIStorageCapacity"),
    resource: Resource::new("storage.k8s.io", "csistoragecapacities"),
    list_kind: "CSIStorageCapacityList",
    plural: "csistoragecapacities",
    singular: "csistoragecapacity",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("storage.k8s.io", "v1", "CSIStorageCapacity")),
    storage_version_hash: "xeVl+2Ly1kE=",
    type_name: "storage/v1.CSIStorageCapacity",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Created At", "date", "", 0),
    ],
    cells: print::name_and_creation,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
