//! `DaemonSet` of `apps/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::core::pod_spec;
use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `DaemonSet` of `apps/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apps", "v1", "DaemonSet"),
    resource: Resource::new("apps", "daemonsets"),
    list_kind: "DaemonSetList",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("apps", "v1", "DaemonSet"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("apps", "v1", "DaemonSet")),
    storage_version_hash: "dd7pWHUlMKQ=",
    type_name: "apps/v1.DaemonSet",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Desired", "integer", "", 0),
        Column::new("Current", "integer", "", 0),
        Column::new("Ready", "integer", "", 0),
        Column::new("Up-to-date", "integer", "", 0),
        Column::new("Available", "integer", "", 0),
        Column::new("Node Selector", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
        Column::new("Selector", "string", "", 1),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        prepare_create: Some(prepare_create),
        prepare_update: Some(prepare_update),
        ..Hooks::NONE
    },
};

/// Counts changes of the template, for clients of the first API version.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    let strategy = fields::member(spec, "updateStrategy");
    fields::fill_zero(strategy, "type", "RollingUpdate");
    if fields::text_in(strategy, "type") == "RollingUpdate" {
        let rolling = fields::member(strategy, "rollingUpdate");
        fields::fill(rolling, "maxUnavailable", 1);
        fields::fill(rolling, "maxSurge", 0);
    }
    fields::fill(spec, "revisionHistoryLimit", 10);
    pod_spec::default_template(spec);
}

fn prepare_create(value: &mut Value) {
    set_template_generation(value, 1);
}

fn prepare_update(new: &mut Value, old: &Value) {
    let before = old
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(TEMPLATE_GENERATION))
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<i64>().ok())
        .unwrap_or(1);
    let changed = new.pointer("/spec/template") != old.pointer("/spec/template");
    set_template_generation(new, before + i64::from(changed));
}

fn set_template_generation(value: &mut Value, generation: i64) {
    fields::member(fields::object(value, "metadata"), "annotations")
        .insert(TEMPLATE_GENERATION.into(), generation.to_string().into());
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::number(value, "/status/desiredNumberScheduled"),
        print::number(value, "/status/currentNumberScheduled"),
        print::number(value, "/status/numberReady"),
        print::number(value, "/status/updatedNumberScheduled"),
        print::number(value, "/status/numberAvailable"),
        print::labels(value, "/spec/template/spec/nodeSelector").into(),
        print::created(value, now),
        print::containers(value, "/spec/template/spec"),
        print::images(value, "/spec/template/spec"),
        print::selector(value, "/spec/selector").into(),
    ]
}
