//! `Binding` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Generation, Hooks, KindSpec, ResetFields},
};
use object::{Gvk, Resource};

/// `Binding` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Binding"),
    resource: Resource::new("", "bindings"),
    list_kind: "",
    plural: "bindings",
    singular: "binding",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: &["create"],
    subresources: &[],
    storage: None,
    storage_version_hash: "",
    type_name: "core/v1.Binding",
    columns: &[],
    cells: print::nothing,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
