//! `Pod` of `v1`: its entry in the list of kinds and what writes fill in.
//!
//! Pure: reads and writes only the tree it is given. Columns are in
//! `pod_columns.rs`, amounts in `pod_resources.rs`.

use super::{pod_columns, pod_resources, pod_spec};
use crate::{
    fields, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};
use serde_json::{Map, Value, json};

/// `Pod` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Pod"),
    resource: Resource::new("", "pods"),
    list_kind: "PodList",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[
        Subresource {
            name: "attach",
            gvk: Gvk::new("", "v1", "PodAttachOptions"),
            verbs: &["create", "get"],
            served: true,
        },
        Subresource {
            name: "binding",
            gvk: Gvk::new("", "v1", "Binding"),
            verbs: &["create"],
            served: true,
        },
        Subresource {
            name: "ephemeralcontainers",
            gvk: Gvk::new("", "v1", "Pod"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
        Subresource {
            name: "eviction",
            gvk: Gvk::new("policy", "v1", "Eviction"),
            verbs: &["create"],
            served: true,
        },
        Subresource {
            name: "exec",
            gvk: Gvk::new("", "v1", "PodExecOptions"),
            verbs: &["create", "get"],
            served: true,
        },
        Subresource {
            name: "log",
            gvk: Gvk::new("", "v1", "Pod"),
            verbs: &["get"],
            served: true,
        },
        Subresource {
            name: "portforward",
            gvk: Gvk::new("", "v1", "PodPortForwardOptions"),
            verbs: &["create", "get"],
            served: true,
        },
        Subresource {
            name: "proxy",
            gvk: Gvk::new("", "v1", "PodProxyOptions"),
            verbs: &["create", "delete", "get", "patch", "update"],
            served: true,
        },
        Subresource {
            name: "resize",
            gvk: Gvk::new("", "v1", "Pod"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("", "v1", "Pod"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("", "v1", "Pod")),
    storage_version_hash: "xPOwRZ+Yhw8=",
    type_name: "core/v1.Pod",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Ready", "string", "", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Restarts", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("IP", "string", "", 1),
        Column::new("Node", "string", "", 1),
        Column::new("Nominated Node", "string", "", 1),
        Column::new("Readiness Gates", "string", "", 1),
    ],
    cells: pod_columns::cells,
    field_selectors: &[
        select::text_field!("spec.nodeName", "spec.nodeName", "/spec/nodeName"),
        select::text_field!(
            "spec.restartPolicy",
            "spec.restartPolicy",
            "/spec/restartPolicy"
        ),
        select::text_field!(
            "spec.schedulerName",
            "spec.schedulerName",
            "/spec/schedulerName"
        ),
        select::text_field!(
            "spec.serviceAccountName",
            "spec.serviceAccountName",
            "/spec/serviceAccountName"
        ),
        select::flag_field!("spec.hostNetwork", "spec.hostNetwork", "/spec/hostNetwork"),
        select::text_field!("status.phase", "status.phase", "/status/phase"),
        select::text_field!("status.podIP", "status.podIP", "/status/podIP"),
        select::text_field!(
            "status.nominatedNodeName",
            "status.nominatedNodeName",
            "/status/nominatedNodeName"
        ),
    ],
    reset_fields: ResetFields {
        main: &["status"],
        status: &[
            "spec",
            "metadata.deletionTimestamp",
            "metadata.ownerReferences",
        ],
    },
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        prepare_create: Some(prepare_create),
        prepare_update: Some(prepare_update),
        prepare_status_update: Some(prepare_status_update),
        ..Hooks::NONE
    },
};

/// Fills in what only pods have, then what templates have as well.
fn default(pod: &mut Value) {
    let spec = fields::object(pod, "spec");
    pod_resources::default_requests(spec);
    fields::fill(spec, "enableServiceLinks", true);
    if spec.get("hostNetwork").is_some_and(|flag| flag == true) {
        for list in pod_spec::CONTAINER_LISTS {
            for container in fields::items_mut(spec, list) {
                host_ports(container);
            }
        }
    }
    pod_spec::default(spec);
}

/// A container on the host's network occupies the host's port of that number.
fn host_ports(container: &mut Map<String, Value>) {
    for port in fields::items_mut(container, "ports") {
        if let Some(number) = port.get("containerPort").cloned() {
            fields::fill_zero(port, "hostPort", number);
        }
    }
}

/// A pod starts pending, in the class that its resources give it.
fn prepare_create(pod: &mut Value) {
    pod_spec::mirror_service_account(fields::object(pod, "spec"));
    let mut status = json!({"phase": "Pending"});
    if !fields::items(pod, "/spec/schedulingGates").is_empty() {
        status["conditions"] = json!([{
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": null,
            "lastTransitionTime": fields::text(pod, "/metadata/creationTimestamp"),
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
    }
    status["qosClass"] = pod_resources::qos_class(pod).into();
    fields::put(pod, "status", Some(status));
}

fn prepare_update(new: &mut Value, _: &Value) {
    pod_spec::mirror_service_account(fields::object(new, "spec"));
}

/// The class of a pod is set once; a kubelet that leaves it out keeps it.
fn prepare_status_update(new: &mut Value, old: &Value) {
    mirror_addresses(new);
    if let Some(class) = old.pointer("/status/qosClass").cloned() {
        fields::fill_zero(fields::object(new, "status"), "qosClass", class);
    }
}

/// The single address and the first of the list are the same.
fn mirror_addresses(pod: &mut Value) {
    let single = fields::text(pod, "/status/podIP").to_owned();
    let first = fields::text(pod, "/status/podIPs/0/ip").to_owned();
    if first.is_empty() && !single.is_empty() {
        fields::object(pod, "status").insert("podIPs".into(), json!([{"ip": single}]));
    } else if !first.is_empty() {
        fields::object(pod, "status").insert("podIP".into(), first.into());
    }
}
