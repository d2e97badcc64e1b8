//! `APIService` of `apiregistration.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `APIService` of `apiregistration.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apiregistration.k8s.io", "v1", "APIService"),
    resource: Resource::new("apiregistration.k8s.io", "apiservices"),
    list_kind: "APIServiceList",
    plural: "apiservices",
    singular: "apiservice",
    short_names: &[],
    categories: &["api-extensions"],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("apiregistration.k8s.io", "v1", "APIService"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("apiregistration.k8s.io", "v1", "APIService")),
    storage_version_hash: "InPBPD7+PqM=",
    type_name: "apiregistration/v1.APIService",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Service", "string", "", 0),
        Column::new("Available", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: false,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
