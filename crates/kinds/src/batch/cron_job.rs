//! `CronJob` of `batch/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `CronJob` of `batch/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("batch", "v1", "CronJob"),
    resource: Resource::new("batch", "cronjobs"),
    list_kind: "CronJobList",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("batch", "v1", "CronJob"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("batch", "v1", "CronJob")),
    storage_version_hash: "sd5LIXh4Fjs=",
    type_name: "batch/v1.CronJob",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Schedule", "string", "", 0),
        Column::new("Timezone", "string", "", 0),
        Column::new("Suspend", "boolean", "", 0),
        Column::new("Active", "integer", "", 0),
        Column::new("Last Schedule", "string", "", 0),
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
