//! `IPAddress` of `networking.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `IPAddress` of `networking.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("networking.k8s.io", "v1", "IPAddress"),
    resource: Resource::new("networking.k8s.io", "ipaddresses"),
    list_kind: "IPAddressList",
    plural: "ipaddresses",
    singular: "ipaddress",
    short_names: &["ip"],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("networking.k8s.io", "v1", "IPAddress")),
    storage_version_hash: "3f/plJFChNE=",
    type_name: "networking/v1.IPAddress",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("ParentRef", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, _: Timestamp) -> Vec<Value> {
    let parts: Vec<&str> = ["resource", "group", "namespace", "name"]
        .iter()
        .map(|name| fields::text(value, &format!("/spec/parentRef/{name}")))
        .collect();
    let resource = match parts[1] {
        "" => parts[0].to_owned(),
        group => format!("{}.{group}", parts[0]),
    };
    let parent = match parts[2] {
        "" => format!("{resource}/{}", parts[3]),
        namespace => format!("{resource}/{namespace}/{}", parts[3]),
    };
    vec![print::name(value), parent.into()]
}
