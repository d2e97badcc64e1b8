//! `ReplicationController` of `v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::pod_spec;
use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Map, Value};

/// `ReplicationController` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "ReplicationController"),
    resource: Resource::new("", "replicationcontrollers"),
    list_kind: "ReplicationControllerList",
    plural: "replicationcontrollers",
    singular: "replicationcontroller",
    short_names: &["rc"],
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
            gvk: Gvk::new("", "v1", "ReplicationController"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("", "v1", "ReplicationController")),
    storage_version_hash: "Jond2If31h0=",
    type_name: "core/v1.ReplicationController",
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

/// Selector and labels are the template's labels unless they are given.
fn default(value: &mut Value) {
    let labels = value
        .pointer("/spec/template/metadata/labels")
        .filter(|labels| labels.as_object().is_some_and(|map| !map.is_empty()))
        .cloned();
    let empty = |map: &Map<String, Value>, name: &str| {
        map.get(name)
            .and_then(Value::as_object)
            .is_none_or(Map::is_empty)
    };
    let spec = fields::object(value, "spec");
    fields::fill(spec, "replicas", 1);
    pod_spec::default_template(spec);
    let Some(labels) = labels else { return };
    if empty(spec, "selector") {
        spec.insert("selector".into(), labels.clone());
    }
    let meta = fields::object(value, "metadata");
    if empty(meta, "labels") {
        meta.insert("labels".into(), labels);
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    print::replicas(value, now, print::labels(value, "/spec/selector"))
}
