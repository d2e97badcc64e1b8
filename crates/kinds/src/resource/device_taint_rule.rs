//! `DeviceTaintRule` of `resource.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `DeviceTaintRule` of `resource.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("resource.k8s.io", "v1", "DeviceTaintRule"),
    resource: Resource::new("resource.k8s.io", "devicetaintrules"),
    list_kind: "DeviceTaintRuleList",
    plural: "devicetaintrules",
    singular: "devicetaintrule",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("resource.k8s.io", "v1", "DeviceTaintRule"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("resource.k8s.io", "v1", "DeviceTaintRule")),
    storage_version_hash: "i+85+TcIKpA=",
    type_name: "resource/v1.DeviceTaintRule",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Key", "string", "", 0),
        Column::new("Value", "string", "", 0),
        Column::new("Effect", "string", "", 0),
        Column::new("TimeAdded", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        prepare_create: Some(prepare_create),
        ..Hooks::NONE
    },
};

/// A taint counts from when its rule was made, unless it says since when.
fn prepare_create(value: &mut Value) {
    let since = fields::text(value, "/metadata/creationTimestamp").to_owned();
    let taint = fields::member(fields::object(value, "spec"), "taint");
    fields::fill(taint, "timeAdded", since);
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::text(value, "/spec/taint/key"),
        print::text(value, "/spec/taint/value"),
        print::text(value, "/spec/taint/effect"),
        print::age_at(value, "/spec/taint/timeAdded", now).into(),
        print::created(value, now),
    ]
}
