//! `ResourceClaim` of `resource.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::requests;
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `ResourceClaim` of `resource.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("resource.k8s.io", "v1", "ResourceClaim"),
    resource: Resource::new("resource.k8s.io", "resourceclaims"),
    list_kind: "ResourceClaimList",
    plural: "resourceclaims",
    singular: "resourceclaim",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("resource.k8s.io", "v1", "ResourceClaim"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("resource.k8s.io", "v1", "ResourceClaim")),
    storage_version_hash: "wgAZaHcZxUg=",
    type_name: "resource/v1.ResourceClaim",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("State", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    requests::default(fields::object(value, "spec"));
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        state(value).into(),
        print::created(value, now),
    ]
}

fn state(value: &Value) -> String {
    let mut words = Vec::new();
    if !fields::text(value, "/metadata/deletionTimestamp").is_empty() {
        words.push("deleted");
    }
    let allocated = value
        .pointer("/status/allocation")
        .is_some_and(Value::is_object);
    match allocated {
        true => words.push("allocated"),
        false if words.is_empty() => words.push("pending"),
        false => {}
    }
    if !fields::items(value, "/status/reservedFor").is_empty() {
        words.push("reserved");
    }
    words.join(",")
}
