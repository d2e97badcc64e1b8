//! `Service` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `Service` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Service"),
    resource: Resource::new("", "services"),
    list_kind: "ServiceList",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[
        Subresource {
            name: "proxy",
            gvk: Gvk::new("", "v1", "ServiceProxyOptions"),
            verbs: &["create", "delete", "get", "patch", "update"],
            served: true,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("", "v1", "Service"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("", "v1", "Service")),
    storage_version_hash: "0/CO1lhkEBI=",
    type_name: "core/v1.Service",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Type", "string", "", 0),
        Column::new("Cluster-IP", "string", "", 0),
        Column::new("External-IP", "string", "", 0),
        Column::new("Port(s)", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Selector", "string", "", 1),
    ],
    cells: print::name_and_age,
    field_selectors: &[
        select::text_field!("spec.clusterIP", "spec.clusterIP", "/spec/clusterIP"),
        select::text_field!("spec.type", "spec.type", "/spec/type"),
    ],
    reset_fields: ResetFields::SPLIT,
    generation: false,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
