//! `ReplicaSet` of `apps/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::core::pod_spec;
use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `ReplicaSet` of `apps/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apps", "v1", "ReplicaSet"),
    resource: Resource::new("apps", "replicasets"),
    list_kind: "ReplicaSetList",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[
        Subresource {
            name: "scale",
            gvk: Gvk::new("autoscaling", "v1", "Scale"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("apps", "v1", "ReplicaSet"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("apps", "v1", "ReplicaSet")),
    storage_version_hash: "P1RzHs8/mWQ=",
    type_name: "apps/v1.ReplicaSet",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Desired", "integer", "", 0),
        Column::new("Current", "integer", "", 0),
        Column::new("Ready", "integer", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
        Column::new("Selector", "string", "", 1),
    ],
    cells,
    field_selectors: &[select::number_field!(
        "status.replicas",
        "status.replicas",
        "/status/replicas"
    )],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    fields::fill(spec, "replicas", 1);
    pod_spec::default_template(spec);
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    print::replicas(value, now, print::selector(value, "/spec/selector"))
}
