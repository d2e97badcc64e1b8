//! `Service` of `v1`: its entry in the list of kinds, what writes fill in, and
//! table cells.
//!
//! Pure: addresses and ports are allocated elsewhere, in the same transaction.
//! What an update leaves out of the allocated values is taken from the old one
//! (`service_update.rs`).

use super::service_update;
use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Value, json};

/// `Service` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Service"),
    resource: Resource::new("", "services"),
    list_kind: "ServiceList",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[
        Subresource {
            name: "proxy",
            gvk: Gvk::new("", "v1", "ServiceProxyOptions"),
            verbs: &["create", "delete", "get", "patch", "update"],
            served: true,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("", "v1", "Service"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("", "v1", "Service")),
    storage_version_hash: "0/CO1lhkEBI=",
    type_name: "core/v1.Service",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Type", "string", "", 0),
        Column::new("Cluster-IP", "string", "", 0),
        Column::new("External-IP", "string", "", 0),
        Column::new("Port(s)", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Selector", "string", "", 1),
    ],
    cells,
    field_selectors: &[
        select::text_field!("spec.clusterIP", "spec.clusterIP", "/spec/clusterIP"),
        select::text_field!("spec.type", "spec.type", "/spec/type"),
    ],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        prepare_create: Some(prepare_create),
        prepare_update: Some(service_update::prepare_update),
        ..Hooks::NONE
    },
};

/// Seconds that a client sticks to one endpoint.
const AFFINITY_SECONDS: i64 = 10_800;

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    fields::fill_zero(spec, "sessionAffinity", "None");
    match fields::text_in(spec, "sessionAffinity") {
        "ClientIP" => {
            let client = fields::member(fields::member(spec, "sessionAffinityConfig"), "clientIP");
            fields::fill(client, "timeoutSeconds", AFFINITY_SECONDS);
        }
        "None" => {
            spec.shift_remove("sessionAffinityConfig");
        }
        _ => {}
    }
    fields::fill_zero(spec, "type", "ClusterIP");
    for port in fields::items_mut(spec, "ports") {
        fields::fill_zero(port, "protocol", "TCP");
        if let Some(number) = port.get("port").cloned() {
            fields::fill_zero(port, "targetPort", number);
        }
    }
    let kind = fields::text_in(spec, "type").to_owned();
    let outside = spec
        .get("externalIPs")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || (kind == "ClusterIP" && outside) {
        fields::fill_zero(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        fields::fill(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fields::fill(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn prepare_create(value: &mut Value) {
    let spec = fields::object(value, "spec");
    let address = fields::text_in(spec, "clusterIP").to_owned();
    if !address.is_empty()
        && spec
            .get("clusterIPs")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
    {
        spec.insert("clusterIPs".into(), json!([address]));
    }
    fields::put(value, "status", Some(json!({"loadBalancer": {}})));
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let address = match fields::text(value, "/spec/clusterIPs/0") {
        "" => print::text_or(value, "/spec/clusterIP", print::NONE),
        first => first.into(),
    };
    vec![
        print::name(value),
        print::text(value, "/spec/type"),
        address,
        external(value).into(),
        ports(value).into(),
        print::created(value, now),
        print::labels(value, "/spec/selector").into(),
    ]
}

fn external(value: &Value) -> String {
    let own: Vec<&str> = fields::items(value, "/spec/externalIPs")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    match fields::text(value, "/spec/type") {
        "ExternalName" => fields::text(value, "/spec/externalName").to_owned(),
        "LoadBalancer" => {
            let mut all: Vec<&str> = fields::items(value, "/status/loadBalancer/ingress")
                .iter()
                .map(|ingress| match fields::text(ingress, "/ip") {
                    "" => fields::text(ingress, "/hostname"),
                    ip => ip,
                })
                .collect();
            all.extend(&own);
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        _ => print::joined(&own, ","),
    }
}

fn ports(value: &Value) -> String {
    let ports: Vec<String> = fields::items(value, "/spec/ports")
        .iter()
        .map(|port| {
            let (number, protocol) = (
                fields::integer(port, "/port"),
                fields::text(port, "/protocol"),
            );
            match fields::integer(port, "/nodePort") {
                0 => format!("{number}/{protocol}"),
                node => format!("{number}:{node}/{protocol}"),
            }
        })
        .collect();
    if ports.is_empty() {
        print::NONE.to_owned()
    } else {
        ports.join(",")
    }
}
