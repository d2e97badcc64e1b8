//! `RuntimeClass` of `node.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `RuntimeClass` of `node.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("node.k8s.io", "v1", "RuntimeClass"),
    resource: Resource::new("node.k8s.io", "runtimeclasses"),
    list_kind: "RuntimeClassList",
    plural: "runtimeclasses",
    singular: "runtimeclass",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("node.k8s.io", "v1", "RuntimeClass")),
    storage_version_hash: "WQTu1GL3T2Q=",
    type_name: "node/v1.RuntimeClass",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Handler", "string", "", 0),
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
