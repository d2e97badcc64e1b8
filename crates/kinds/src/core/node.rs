//! `Node` of `v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Value, json};

/// `Node` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Node"),
    resource: Resource::new("", "nodes"),
    list_kind: "NodeList",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[
        Subresource {
            name: "proxy",
            gvk: Gvk::new("", "v1", "NodeProxyOptions"),
            verbs: &["create", "delete", "get", "patch", "update"],
            served: true,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("", "v1", "Node"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("", "v1", "Node")),
    storage_version_hash: "XwShjMxG9Fs=",
    type_name: "core/v1.Node",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Roles", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Version", "string", "", 0),
        Column::new("Internal-IP", "string", "", 1),
        Column::new("External-IP", "string", "", 1),
        Column::new("OS-Image", "string", "", 1),
        Column::new("Kernel-Version", "string", "", 1),
        Column::new("Container-Runtime", "string", "", 1),
    ],
    cells,
    field_selectors: &[select::flag_field!(
        "spec.unschedulable",
        "spec.unschedulable",
        "/spec/unschedulable"
    )],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: true,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

/// Labels that say what a node is for.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE_LABEL: &str = "kubernetes.io/role";

/// What can be given out is all there is, unless the node says less.
fn default(value: &mut Value) {
    if let Some(status) = fields::map_at(value, "/status")
        && let Some(capacity) = status.get("capacity").filter(|c| c.is_object()).cloned()
    {
        fields::fill(status, "allocatable", capacity);
    }
    mirror_pod_ranges(value);
}

/// The single range and the first of the list are the same.
fn mirror_pod_ranges(value: &mut Value) {
    let first = fields::text(value, "/spec/podCIDRs/0").to_owned();
    let single = fields::text(value, "/spec/podCIDR").to_owned();
    if first.is_empty() && !single.is_empty() {
        fields::object(value, "spec").insert("podCIDRs".into(), json!([single]));
    } else if !first.is_empty() && single.is_empty() {
        fields::object(value, "spec").insert("podCIDR".into(), first.into());
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        status(value).into(),
        roles(value).into(),
        print::created(value, now),
        print::text(value, "/status/nodeInfo/kubeletVersion"),
        address(value, "InternalIP"),
        address(value, "ExternalIP"),
        print::text_or(value, "/status/nodeInfo/osImage", print::UNKNOWN),
        print::text_or(value, "/status/nodeInfo/kernelVersion", print::UNKNOWN),
        print::text_or(
            value,
            "/status/nodeInfo/containerRuntimeVersion",
            print::UNKNOWN,
        ),
    ]
}

fn status(value: &Value) -> String {
    let ready = fields::items(value, "/status/conditions")
        .iter()
        .find(|condition| fields::text(condition, "/type") == "Ready");
    let mut words = match ready.map(|condition| fields::text(condition, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if fields::flag(value, "/spec/unschedulable") {
        words.push_str(",SchedulingDisabled");
    }
    words
}

fn roles(value: &Value) -> String {
    let Some(labels) = value.pointer("/metadata/labels").and_then(Value::as_object) else {
        return print::NONE.to_owned();
    };
    let mut roles: Vec<&str> = labels
        .iter()
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => Some(role).filter(|role| !role.is_empty()),
            None if key == ROLE_LABEL => value.as_str().filter(|role| !role.is_empty()),
            None => None,
        })
        .collect();
    roles.sort_unstable();
    roles.dedup();
    print::joined(&roles, ",")
}

fn address(value: &Value, kind: &str) -> Value {
    fields::items(value, "/status/addresses")
        .iter()
        .find(|address| fields::text(address, "/type") == kind)
        .map_or(print::NONE, |address| fields::text(address, "/address"))
        .into()
}
