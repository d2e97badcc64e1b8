//! `Namespace` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource},
};
use object::{Gvk, Resource};

/// `Namespace` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "Namespace"),
    resource: Resource::new("", "namespaces"),
    list_kind: "NamespaceList",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    namespaced: false,
    verbs: &[
        "create", "delete", "get", "list", "patch", "update", "watch",
    ],
    subresources: &[
        Subresource {
            name: "finalize",
            gvk: Gvk::new("", "v1", "Namespace"),
            verbs: &["update"],
            served: true,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("", "v1", "Namespace"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("", "v1", "Namespace")),
    storage_version_hash: "Q3oi5N2YM8M=",
    type_name: "core/v1.Namespace",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[select::text_field!(
        "status.phase",
        "status.phase",
        "/status/phase"
    )],
    reset_fields: ResetFields::SPLIT,
    generation: false,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
