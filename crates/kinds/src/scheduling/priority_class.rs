//! `PriorityClass` of `scheduling.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `PriorityClass` of `scheduling.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("scheduling.k8s.io", "v1", "PriorityClass"),
    resource: Resource::new("scheduling.k8s.io", "priorityclasses"),
    list_kind: "PriorityClassList",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("scheduling.k8s.io", "v1", "PriorityClass")),
    storage_version_hash: "1QwjyaZjj3Y=",
    type_name: "scheduling/v1.PriorityClass",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Value", "integer", "", 0),
        Column::new("Global-Default", "boolean", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("PreemptionPolicy", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Spec,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    if let Some(class) = value.as_object_mut() {
        fields::fill(class, "preemptionPolicy", "PreemptLowerPriority");
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::number(value, "/value"),
        print::flag(value, "/globalDefault"),
        print::created(value, now),
        print::text(value, "/preemptionPolicy"),
    ]
}
