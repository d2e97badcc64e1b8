//! `ComponentStatus` of `v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `ComponentStatus` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "ComponentStatus"),
    resource: Resource::new("", "componentstatuses"),
    list_kind: "ComponentStatusList",
    plural: "componentstatuses",
    singular: "componentstatus",
    short_names: &["cs"],
    categories: &[],
    namespaced: false,
    verbs: &["get", "list"],
    subresources: &[],
    storage: None,
    storage_version_hash: "",
    type_name: "core/v1.ComponentStatus",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Message", "string", "", 0),
        Column::new("Error", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, _: Timestamp) -> Vec<Value> {
    let healthy = fields::items(value, "/conditions")
        .iter()
        .find(|condition| fields::text(condition, "/type") == "Healthy");
    let (status, message, error) = match healthy {
        Some(condition) => (
            match fields::text(condition, "/status") {
                "True" => "Healthy",
                "False" => "Unhealthy",
                _ => "Unknown",
            },
            fields::text(condition, "/message"),
            fields::text(condition, "/error"),
        ),
        None => ("Unknown", "", ""),
    };
    vec![
        print::name(value),
        status.into(),
        message.into(),
        error.into(),
    ]
}
