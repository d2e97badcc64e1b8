//! `PodDisruptionBudget` of `policy/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `PodDisruptionBudget` of `policy/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("policy", "v1", "PodDisruptionBudget"),
    resource: Resource::new("policy", "poddisruptionbudgets"),
    list_kind: "PodDisruptionBudgetList",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("policy", "v1", "PodDisruptionBudget"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("policy", "v1", "PodDisruptionBudget")),
    storage_version_hash: "EVWiDmWqyJw=",
    type_name: "policy/v1.PodDisruptionBudget",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Min Available", "string", "", 0),
        Column::new("Max Unavailable", "string", "", 0),
        Column::new("Allowed Disruptions", "integer", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let bound = |pointer: &str| print::plain(value, pointer).unwrap_or_else(|| "N/A".to_owned());
    vec![
        print::name(value),
        bound("/spec/minAvailable").into(),
        bound("/spec/maxUnavailable").into(),
        print::number(value, "/status/disruptionsAllowed"),
        print::created(value, now),
    ]
}
