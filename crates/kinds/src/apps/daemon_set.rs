//! `DaemonSet` of `apps/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `DaemonSet` of `apps/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apps", "v1", "DaemonSet"),
    resource: Resource::new("apps", "daemonsets"),
    list_kind: "DaemonSetList",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("apps", "v1", "DaemonSet"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("apps", "v1", "DaemonSet")),
    storage_version_hash: "dd7pWHUlMKQ=",
    type_name: "apps/v1.DaemonSet",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Desired", "integer", "", 0),
        Column::new("Current", "integer", "", 0),
        Column::new("Ready", "integer", "", 0),
        Column::new("Up-to-date", "integer", "", 0),
        Column::new("Available", "integer", "", 0),
        Column::new("Node Selector", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
        Column::new("Selector", "string", "", 1),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
