//! `ServiceCIDR` of `networking.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `ServiceCIDR` of `networking.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("networking.k8s.io", "v1", "ServiceCIDR"),
    resource: Resource::new("networking.k8s.io", "servicecidrs"),
    list_kind: "ServiceCIDRList",
    plural: "servicecidrs",
    singular: "servicecidr",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("networking.k8s.io", "v1", "ServiceCIDR"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("networking.k8s.io", "v1", "ServiceCIDR")),
    storage_version_hash: "gNLvruQhW2g=",
    type_name: "networking/v1.ServiceCIDR",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("CIDRs", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let ranges: Vec<&str> = fields::items(value, "/spec/cidrs")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    vec![
        print::name(value),
        ranges.join(",").into(),
        print::created(value, now),
    ]
}
