//! `NetworkPolicy` of `networking.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Map, Value, json};

/// `NetworkPolicy` of `networking.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("networking.k8s.io", "v1", "NetworkPolicy"),
    resource: Resource::new("networking.k8s.io", "networkpolicies"),
    list_kind: "NetworkPolicyList",
    plural: "networkpolicies",
    singular: "networkpolicy",
    short_names: &["netpol"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("networking.k8s.io", "v1", "NetworkPolicy")),
    storage_version_hash: "YpfwF18m1G8=",
    type_name: "networking/v1.NetworkPolicy",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Pod-Selector", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Spec,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

/// Ports are TCP; a policy is about incoming traffic, and about outgoing traffic
/// when it has rules for that.
fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    for direction in ["ingress", "egress"] {
        for rule in fields::items_mut(spec, direction) {
            for port in fields::items_mut(rule, "ports") {
                fields::fill(port, "protocol", "TCP");
            }
        }
    }
    let some = |spec: &Map<String, Value>, name: &str| {
        spec.get(name)
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty())
    };
    if !some(spec, "policyTypes") {
        let types = match some(spec, "egress") {
            true => json!(["Ingress", "Egress"]),
            false => json!(["Ingress"]),
        };
        spec.insert("policyTypes".into(), types);
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::selector(value, "/spec/podSelector").into(),
        print::created(value, now),
    ]
}
