//! `StatefulSet` of `apps/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `StatefulSet` of `apps/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apps", "v1", "StatefulSet"),
    resource: Resource::new("apps", "statefulsets"),
    list_kind: "StatefulSetList",
    plural: "statefulsets",
    singular: "statefulset",
    short_names: &["sts"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[
        Subresource {
            name: "scale",
            gvk: Gvk::new("autoscaling", "v1", "Scale"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("apps", "v1", "StatefulSet"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("apps", "v1", "StatefulSet")),
    storage_version_hash: "H+vl74LkKdo=",
    type_name: "apps/v1.StatefulSet",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Ready", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
