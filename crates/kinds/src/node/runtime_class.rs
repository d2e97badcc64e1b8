//! `RuntimeClass` of `node.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

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
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::text(value, "/handler"),
        print::created(value, now),
    ]
}
