//! `PodTemplate` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `PodTemplate` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "PodTemplate"),
    resource: Resource::new("", "podtemplates"),
    list_kind: "PodTemplateList",
    plural: "podtemplates",
    singular: "podtemplate",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("", "v1", "PodTemplate")),
    storage_version_hash: "LIXB2x4IFpk=",
    type_name: "core/v1.PodTemplate",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Containers", "string", "", 0),
        Column::new("Images", "string", "", 0),
        Column::new("Pod Labels", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: true,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
