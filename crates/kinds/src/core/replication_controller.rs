//! `ReplicationController` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `ReplicationController` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "ReplicationController"),
    resource: Resource::new("", "replicationcontrollers"),
    list_kind: "ReplicationControllerList",
    plural: "replicationcontrollers",
    singular: "replicationcontroller",
    short_names: &["rc"],
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
            gvk: Gvk::new("", "v1", "ReplicationController"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("", "v1", "ReplicationController")),
    storage_version_hash: "Jond2If31h0=",
    type_name: "core/v1.ReplicationController",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Desired", "integer", "", 0),
        Column::new("Current", "integer", "", 0),
        Column::new("Ready", "integer", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
        Column::new("Selector", "string", "", 1),
    ],
    cells: print::name_and_age,
    field_selectors: &[select::number_field!(
        "status.replicas",
        "status.replicas",
        "/status/replicas"
    )],
    reset_fields: ResetFields::SPLIT,
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
