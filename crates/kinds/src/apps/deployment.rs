//! `Deployment` of `apps/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `Deployment` of `apps/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apps", "v1", "Deployment"),
    resource: Resource::new("apps", "deployments"),
    list_kind: "DeploymentList",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
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
            gvk: Gvk::new("apps", "v1", "Deployment"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new("apps", "v1", "Deployment")),
    storage_version_hash: "8aSe+NMegvE=",
    type_name: "apps/v1.Deployment",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Ready", "string", "", 0),
        Column::new("Up-to-date", "string", "", 0),
        Column::new("Available", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
        Column::new("Selector", "string", "", 1),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields {
        main: &["status"],
        status: &["spec", "metadata.labels"],
    },
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
