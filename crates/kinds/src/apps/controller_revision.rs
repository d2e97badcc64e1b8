//! `ControllerRevision` of `apps/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `ControllerRevision` of `apps/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("apps", "v1", "ControllerRevision"),
    resource: Resource::new("apps", "controllerrevisions"),
    list_kind: "ControllerRevisionList",
    plural: "controllerrevisions",
    singular: "controllerrevision",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("apps", "v1", "ControllerRevision")),
    storage_version_hash: "85nkx63pcBU=",
    type_name: "apps/v1.ControllerRevision",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Controller", "string", "", 0),
        Column::new("Revision", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let owner = fields::items(value, "/metadata/ownerReferences")
        .iter()
        .find(|owner| fields::flag(owner, "/controller"))
        .map_or_else(|| print::NONE.to_owned(), named);
    vec![
        print::name(value),
        owner.into(),
        print::number(value, "/revision"),
        print::created(value, now),
    ]
}

/// `kind.group/name` of an owner.
fn named(owner: &Value) -> String {
    let kind = fields::text(owner, "/kind").to_lowercase();
    let name = fields::text(owner, "/name");
    match fields::text(owner, "/apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}
