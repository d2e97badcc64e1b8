//! `ConfigMap` of `v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
    validate,
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::{Map, Value};

/// `ConfigMap` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "ConfigMap"),
    resource: Resource::new("", "configmaps"),
    list_kind: "ConfigMapList",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("", "v1", "ConfigMap")),
    storage_version_hash: "qFsyl6wFWjQ=",
    type_name: "core/v1.ConfigMap",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Data", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        validate_create: Some(validate::config_map::create),
        validate_update: Some(validate::config_map::update),
        ..Hooks::NONE
    },
};

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let count = ["/data", "/binaryData"]
        .iter()
        .filter_map(|member| value.pointer(member).and_then(Value::as_object))
        .map(Map::len)
        .sum::<usize>();
    vec![print::name(value), count.into(), print::created(value, now)]
}
