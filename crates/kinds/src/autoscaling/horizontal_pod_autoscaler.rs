//! `HorizontalPodAutoscaler` of `autoscaling/v2`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::targets;
use crate::{
    fields,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Map, Value, json};

/// `HorizontalPodAutoscaler` of `autoscaling/v2`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("autoscaling", "v2", "HorizontalPodAutoscaler"),
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
        gvk: Gvk::new("autoscaling", "v2", "HorizontalPodAutoscaler"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("autoscaling", "v2", "HorizontalPodAutoscaler")),
    storage_version_hash: "qwQve8ut294=",
    type_name: "autoscaling/v2.HorizontalPodAutoscaler",
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
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    fields::fill(spec, "minReplicas", 1);
    if spec
        .get("metrics")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty)
    {
        let cpu =
            json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}});
        spec.insert(
            "metrics".into(),
            json!([{"type": "Resource", "resource": cpu}]),
        );
    }
    if let Some(behavior) = fields::map_in(spec, "behavior") {
        let up = fields::member(behavior, "scaleUp");
        fields::fill(up, "stabilizationWindowSeconds", 0);
        let steps = json!([
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ]);
        default_rules(up, steps);
        let steps = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
        default_rules(fields::member(behavior, "scaleDown"), steps);
    }
}

fn default_rules(rules: &mut Map<String, Value>, steps: Value) {
    fields::fill(rules, "selectPolicy", "Max");
    fields::fill(rules, "policies", steps);
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    targets::row(value, now, targets::metrics(value))
}
