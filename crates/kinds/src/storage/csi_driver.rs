//! `CSIDriver` of `storage.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `CSIDriver` of `storage.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("storage.k8s.io", "v1", "CSIDriver"),
    resource: Resource::new("storage.k8s.io", "csidrivers"),
    list_kind: "CSIDriverList",
    plural: "csidrivers",
    singular: "csidriver",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("storage.k8s.io", "v1", "CSIDriver")),
    storage_version_hash: "hL6j/rwBV5w=",
    type_name: "storage/v1.CSIDriver",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("AttachRequired", "boolean", "", 0),
        Column::new("PodInfoOnMount", "boolean", "", 0),
        Column::new("StorageCapacity", "boolean", "", 0),
        Column::new("TokenRequests", "string", "", 0),
        Column::new("RequiresRepublish", "boolean", "", 0),
        Column::new("Modes", "string", "", 0),
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
