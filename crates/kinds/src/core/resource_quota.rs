//! `ResourceQuota` of `v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `ResourceQuota` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "ResourceQuota"),
    resource: Resource::new("", "resourcequotas"),
    list_kind: "ResourceQuotaList",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("", "v1", "ResourceQuota"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("", "v1", "ResourceQuota")),
    storage_version_hash: "8uhSgffRX6w=",
    type_name: "core/v1.ResourceQuota",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Request", "string", "", 0),
        Column::new("Limit", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let used = |name: &str| {
        let used = value
            .pointer("/status/used")
            .and_then(|used| used.get(name));
        used.and_then(Value::as_str).unwrap_or("0").to_owned()
    };
    let hard = value.pointer("/status/hard").and_then(Value::as_object);
    let mut hard: Vec<(&String, &Value)> = hard.into_iter().flatten().collect();
    hard.sort_by_key(|(name, _)| *name);
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (name, most) in hard {
        let text = format!(
            "{name}: {}/{}",
            used(name),
            most.as_str().unwrap_or_default()
        );
        match name.starts_with("limits.") {
            true => limits.push(text),
            false => requests.push(text),
        }
    }
    vec![
        print::name(value),
        requests.join(", ").into(),
        limits.join(", ").into(),
        print::created(value, now),
    ]
}
