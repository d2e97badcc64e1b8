//! `Lease` of `coordination.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `Lease` of `coordination.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("coordination.k8s.io", "v1", "Lease"),
    resource: Resource::new("coordination.k8s.io", "leases"),
    list_kind: "LeaseList",
    plural: "leases",
    singular: "lease",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("coordination.k8s.io", "v1", "Lease")),
    storage_version_hash: "gqkMMb/YqFM=",
    type_name: "coordination/v1.Lease",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Holder", "string", "", 0),
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
        print::text(value, "/spec/holderIdentity"),
        print::created(value, now),
    ]
}
