//! `Ingress` of `networking.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `Ingress` of `networking.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("networking.k8s.io", "v1", "Ingress"),
    resource: Resource::new("networking.k8s.io", "ingresses"),
    list_kind: "IngressList",
    plural: "ingresses",
    singular: "ingress",
    short_names: &["ing"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("networking.k8s.io", "v1", "Ingress"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("networking.k8s.io", "v1", "Ingress")),
    storage_version_hash: "39NQlfNR+bo=",
    type_name: "networking/v1.Ingress",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Class", "string", "", 0),
        Column::new("Hosts", "string", "", 0),
        Column::new("Address", "string", "", 0),
        Column::new("Ports", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

/// How many hosts a row shows before it only counts them.
const SHOWN: usize = 3;

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let addresses: Vec<&str> = fields::items(value, "/status/loadBalancer/ingress")
        .iter()
        .map(|point| match fields::text(point, "/ip") {
            "" => fields::text(point, "/hostname"),
            ip => ip,
        })
        .filter(|address| !address.is_empty())
        .collect();
    let ports = match fields::items(value, "/spec/tls").is_empty() {
        true => "80",
        false => "80, 443",
    };
    vec![
        print::name(value),
        print::text_or(value, "/spec/ingressClassName", print::NONE),
        hosts(value).into(),
        addresses.join(",").into(),
        ports.into(),
        print::created(value, now),
    ]
}

fn hosts(value: &Value) -> String {
    let mut hosts = print::each(fields::items(value, "/spec/rules"), "/host");
    hosts.retain(|host| !host.is_empty());
    match hosts.len() {
        0 => "*".to_owned(),
        more if more > SHOWN => format!("{} + {} more...", hosts[..SHOWN].join(","), more - SHOWN),
        _ => hosts.join(","),
    }
}
