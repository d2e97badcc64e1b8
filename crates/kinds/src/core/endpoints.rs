//! `Endpoints` of `v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `Endpoints` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Endpoints"),
    resource: Resource::new("", "endpoints"),
    list_kind: "EndpointsList",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("", "v1", "Endpoints")),
    storage_version_hash: "fWeeMqaN/OA=",
    type_name: "core/v1.Endpoints",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Endpoints", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

/// How many endpoints a row shows before it only counts them.
const SHOWN: usize = 3;

fn default(value: &mut Value) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    for subset in fields::items_mut(map, "subsets") {
        for port in fields::items_mut(subset, "ports") {
            fields::fill_zero(port, "protocol", "TCP");
        }
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        endpoints(value).into(),
        print::created(value, now),
    ]
}

/// Addresses with their ports, subset by subset.
fn endpoints(value: &Value) -> String {
    let mut all = Vec::new();
    for subset in fields::items(value, "/subsets") {
        let ports = fields::items(subset, "/ports");
        let addresses = fields::items(subset, "/addresses");
        if ports.is_empty() {
            all.extend(addresses.iter().map(|a| fields::text(a, "/ip").to_owned()));
        }
        for port in ports {
            let number = fields::integer(port, "/port");
            all.extend(
                addresses
                    .iter()
                    .map(|address| match fields::text(address, "/ip") {
                        ip if ip.contains(':') => format!("[{ip}]:{number}"),
                        ip => format!("{ip}:{number}"),
                    }),
            );
        }
    }
    match all.len() {
        0 => print::NONE.to_owned(),
        1..=SHOWN => all.join(","),
        more => format!("{} + {} more...", all[..SHOWN].join(","), more - SHOWN),
    }
}
