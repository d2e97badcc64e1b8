//! `PodTemplate` of `v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use super::pod_spec;
use crate::{
    print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `PodTemplate` of `v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("", "v1", "PodTemplate"),
    resource: Resource::new("", "podtemplates"),
    list_kind: "PodTemplateList",
    plural: "podtemplates",
    singular: "podtemplate",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("", "v1", "PodTemplate")),
    storage_version_hash: "LIXB2x4IFpk=",
    type_name: "core/v1.PodTemplate",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Containers", "string", "", 0),
        Column::new("Images", "string", "", 0),
        Column::new("Pod Labels", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::NONE,
    generation: Generation::Spec,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

fn default(value: &mut Value) {
    if let Some(holder) = value.as_object_mut() {
        pod_spec::default_template(holder);
    }
}

fn cells(value: &Value, _: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::containers(value, "/template/spec"),
        print::images(value, "/template/spec"),
        print::labels(value, "/template/metadata/labels").into(),
    ]
}
