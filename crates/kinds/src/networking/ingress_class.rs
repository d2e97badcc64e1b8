//! `IngressClass` of `networking.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, VERBS},
};
use object::{Gvk, Resource};

/// `IngressClass` of `networking.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("networking.k8s.io", "v1", "IngressClass"),
    resource: Resource::new("networking.k8s.io", "ingressclasses"),
    list_kind: "IngressClassList",
    plural: "ingressclasses",
    singular: "ingressclass",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("networking.k8s.io", "v1", "IngressClass")),
    storage_version_hash: "l/iqIbDgFyQ=",
    type_name: "networking/v1.IngressClass",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Controller", "string", "", 0),
        Column::new("Parameters", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: true,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
