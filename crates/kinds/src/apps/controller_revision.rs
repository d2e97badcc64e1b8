//! `ControllerRevision` of `apps/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `ControllerRevision` of `apps/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apps", "v1", "ControllerRevision"),
    resource: Resource::new("apps", "controllerrevisions"),
    list_kind: "ControllerRevisionList",
    plural: "controllerrevisions",
    singular: "controllerrevision",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("apps", "v1", "ControllerRevision")),
    storage_version_hash: "85nkx63pcBU=",
    type_name: "apps/v1.ControllerRevision",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Controller", "string", "", 0),
        Column::new("Revision", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: false,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
