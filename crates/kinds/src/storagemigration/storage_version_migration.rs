//! `StorageVersionMigration` of `storagemigration.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

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
        "v1",
        "StorageVersionMigration",
    )),
    storage_version_hash: "pCjmmKOkLy4=",
    type_name: "storagemigration/v1.StorageVersionMigration",
    columns: &[
        Column::new("Name", "string", "", 0),
        Column::new("Resource", "string", "", 0),
        Column::new("Status", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, _: Timestamp) -> Vec<Value> {
    let resource = fields::text(value, "/spec/resource/resource");
    let resource = match fields::text(value, "/spec/resource/group") {
        "" => resource.to_owned(),
        group => format!("{resource}.{group}"),
    };
    let conditions = fields::items(value, "/status/conditions");
    let status = conditions
        .iter()
        .find(|condition| fields::text(condition, "/status") == "True")
        .map_or("", |condition| fields::text(condition, "/type"));
    vec![print::name(value), resource.into(), status.into()]
}
