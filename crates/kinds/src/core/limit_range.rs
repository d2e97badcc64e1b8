//! `LimitRange` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `LimitRange` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "LimitRange"),
    resource: Resource::new("", "limitranges"),
    list_kind: "LimitRangeList",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("", "v1", "LimitRange")),
    storage_version_hash: "EBKMFVe6cwo=",
    type_name: "core/v1.LimitRange",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Created At", "date", "", 0),
    ],
    cells: print::name_and_creation,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: false,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
