//! `HorizontalPodAutoscaler` of `autoscaling/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::{older, targets};
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `HorizontalPodAutoscaler` of `autoscaling/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("autoscaling", "v1", "HorizontalPodAutoscaler"),
    resource: Resource::new("autoscaling", "horizontalpodautoscalers"),
    list_kind: "HorizontalPodAutoscalerList",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("autoscaling", "v1", "HorizontalPodAutoscaler"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("autoscaling", "v2", "HorizontalPodAutoscaler")),
    storage_version_hash: "qwQve8ut294=",
    type_name: "autoscaling/v1.HorizontalPodAutoscaler",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Reference", "string", "", 0),
        Column::new("Targets", "string", "", 0),
        Column::new("MinPods", "string", "", 0),
        Column::new("MaxPods", "string", "", 0),
        Column::new("Replicas", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        to_stored: Some(older::to_stored),
        from_stored: Some(older::from_stored),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    let other = value
        .pointer("/metadata/annotations")
        .is_some_and(|annotations| annotations.get(older::METRICS).is_some());
    let spec = fields::object(value, "spec");
    fields::fill(spec, "minReplicas", 1);
    if !other {
        fields::fill(spec, "targetCPUUtilizationPercentage", 80);
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let percent = |pointer: &str| value.pointer(pointer).and_then(Value::as_i64);
    let shown = percent("/spec/targetCPUUtilizationPercentage").map_or_else(
        || print::NONE.to_owned(),
        |wanted| match percent("/status/currentCPUUtilizationPercentage") {
            Some(now) => format!("cpu: {now}%/{wanted}%"),
            None => format!("cpu: {}/{wanted}%", print::UNKNOWN),
        },
    );
    targets::row(value, now, shown)
}
