//! `EndpointSlice` of `discovery.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `EndpointSlice` of `discovery.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("discovery.k8s.io", "v1", "EndpointSlice"),
    resource: Resource::new("discovery.k8s.io", "endpointslices"),
    list_kind: "EndpointSliceList",
    plural: "endpointslices",
    singular: "endpointslice",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("discovery.k8s.io", "v1", "EndpointSlice")),
    storage_version_hash: "qgS0xkrxYAI=",
    type_name: "discovery/v1.EndpointSlice",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("AddressType", "string", "", 0),
        Column::new("Ports", "string", "", 0),
        Column::new("Endpoints", "string", "", 0),
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

/// How many ports or endpoints a row shows before it only counts them.
const SHOWN: usize = 3;

fn default(value: &mut Value) {
    let Some(slice) = value.as_object_mut() else {
        return;
    };
    for port in fields::items_mut(slice, "ports") {
        fields::fill(port, "name", "");
        fields::fill(port, "protocol", "TCP");
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::text(value, "/addressType"),
        ports(value).into(),
        endpoints(value).into(),
        print::created(value, now),
    ]
}

fn ports(value: &Value) -> String {
    let ports: Vec<String> = fields::items(value, "/ports")
        .iter()
        .map(|port| match port.get("port").and_then(Value::as_i64) {
            Some(number) => number.to_string(),
            None => fields::text(port, "/name").to_owned(),
        })
        .collect();
    shown(&ports, "<unset>")
}

fn endpoints(value: &Value) -> String {
    let addresses: Vec<String> = fields::items(value, "/endpoints")
        .iter()
        .flat_map(|endpoint| fields::items(endpoint, "/addresses"))
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    shown(&addresses, "<unset>")
}

fn shown(texts: &[String], none: &str) -> String {
    match texts.len() {
        0 => none.to_owned(),
        more if more > SHOWN => format!("{} + {} more...", texts[..SHOWN].join(","), more - SHOWN),
        _ => texts.join(","),
    }
}
