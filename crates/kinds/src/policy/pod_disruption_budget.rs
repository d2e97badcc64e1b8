//! `PodDisruptionBudget` of `policy/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

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
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
