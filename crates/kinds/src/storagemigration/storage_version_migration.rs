//! `StorageVersionMigration` of `storagemigration.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

/// `StorageVersionMigration` of `storagemigration.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("storagemigration.k8s.io", "v1", "StorageVersionMigration"),
    resource: Resource::new("storagemigration.k8s.io", "storageversionmigrations"),
    list_kind: "StorageVersionMigrationList",
    plural: "storageversionmigrations",
    singular: "storageversionmigration",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("storagemigration.k8s.io", "v1", "StorageVersionMigration"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new(
        "storagemigration.k8s.io",
        "v1beta1",
        "StorageVersionMigration",
    )),
    storage_version_hash: "pCjmmKOkLy4=",
    type_name: "storagemigration/v1.StorageVersionMigration",
    columns: &[
        Column::new("Name", "string", "", 0),
        Column::new("Resource", "string", "", 0),
        Column::new("Status", "string", "", 0),
    ],
    cells: print::name_and_age,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: false,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
