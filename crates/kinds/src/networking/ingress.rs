//! `Ingress` of `networking.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `Ingress` of `networking.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("networking.k8s.io", "v1", "Ingress"),
    resource: Resource::new("networking.k8s.io", "ingresses"),
    list_kind: "IngressList",
    plural: "ingresses",
    singular: "ingress",
    short_names: &["ing"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("networking.k8s.io", "v1", "Ingress"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("networking.k8s.io", "v1", "Ingress")),
    storage_version_hash: "39NQlfNR+bo=",
    type_name: "networking/v1.Ingress",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Class", "string", "", 0),
        Column::new("Hosts", "string", "", 0),
        Column::new("Address", "string", "", 0),
        Column::new("Ports", "string", "", 0),
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
