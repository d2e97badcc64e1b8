//! `Pod` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

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
    cells: print::name_and_age,
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
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
