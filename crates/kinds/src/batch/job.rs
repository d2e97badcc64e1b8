//! `Job` of `batch/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `Job` of `batch/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("batch", "v1", "Job"),
    resource: Resource::new("batch", "jobs"),
    list_kind: "JobList",
    plural: "jobs",
    singular: "job",
    short_names: &[],
    categories: &["all"],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("batch", "v1", "Job"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("batch", "v1", "Job")),
    storage_version_hash: "mudhfqk/qZY=",
    type_name: "batch/v1.Job",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Status", "string", "", 0),
        Column::new("Completions", "string", "", 0),
        Column::new("Duration", "string", "", 0),
        Column::new("Age", "string", "", 0),
        Column::new("Containers", "string", "", 1),
        Column::new("Images", "string", "", 1),
        Column::new("Selector", "string", "", 1),
    ],
    cells: print::name_and_age,
    field_selectors: &[select::number_field!(
        "status.successful",
        "status.successful",
        "/status/succeeded"
    )],
    reset_fields: ResetFields::SPLIT,
    generation: true,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
