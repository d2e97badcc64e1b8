//! `ComponentStatus` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields},
};
use object::{Gvk, Resource};

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
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: false,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
