//! `ResourceQuota` of `v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `ResourceQuota` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "ResourceQuota"),
    resource: Resource::new("", "resourcequotas"),
    list_kind: "ResourceQuotaList",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("", "v1", "ResourceQuota"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new("", "v1", "ResourceQuota")),
    storage_version_hash: "8uhSgffRX6w=",
    type_name: "core/v1.ResourceQuota",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Request", "string", "", 0),
        Column::new("Limit", "string", "", 0),
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
