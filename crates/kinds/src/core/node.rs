//! `Node` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `Node` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Node"),
    resource: Resource::new("", "nodes"),
    list_kind: "NodeList",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[
        Subresource {
            name: "proxy",
            gvk: Gvk::new("", "v1", "NodeProxyOptions"),
            verbs: &["create", "delete", "get", "patch", "update"],
            served: true,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("", "v1", "Node"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("", "v1", "Node")),
    storage_version_hash: "XwShjMxG9Fs=",
    type_name: "core/v1.Node",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Roles", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Version", "string", "", 0),
        Column::new("Internal-IP", "string", "", 1),
        Column::new("External-IP", "string", "", 1),
        Column::new("OS-Image", "string", "", 1),
        Column::new("Kernel-Version", "string", "", 1),
        Column::new("Container-Runtime", "string", "", 1),
    ],
    cells: print::name_and_age,
    field_selectors: &[select::flag_field!(
        "spec.unschedulable",
        "spec.unschedulable",
        "/spec/unschedulable"
    )],
    reset_fields: ResetFields::SPLIT,
    generation: false,
    status: true,
    keeps_status_on_create: true,
    hooks: Hooks::NONE,
};
